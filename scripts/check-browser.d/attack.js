// What a hostile page can try against a port of this host. One attack after the other, so that the
// server can tell which of them a request came from; each says to the server that it begins, and what
// the browser let it see.
//
// The page is opened with: home, the page server; target, "control" or "proxy"; port, where that
// listens; set, which origin the page has been given: "evil" (http://evil.example), "local" (another
// port of localhost) or "rebound" (the target's own port, under a name that led elsewhere before).
const { home, target, port, set } = Object.fromEntries(new URLSearchParams(location.search));
const body = '{"model":"gpt-mock","input":"from a web page"}';
const evil = set === "evil";
const host = { evil: "127.0.0.1", local: "localhost", rebound: location.hostname }[set];
const base = `http://${host}:${port}`;
const responses = `${base}/v1/responses`;
const shutdown = `${base}/shutdown`;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const via = (path, to, more = "") => `${home}/${path}?to=${encodeURIComponent(to)}${more}`;
const readable = (saw) => ({ saw, readable: true });
const broken = (saw) => ({ saw, broken: true }); // nothing was tried

const attacks = [];
// MUST: the control has to see it, or this test shows nothing. CORE: from every origin, others only
// from evil.example.
const MUST = 1;
const CORE = 2;
const add = (name, flags, run) => {
  if (evil || flags & CORE) attacks.push({ name, must: !!(flags & MUST), run });
};

// ---- helpers

const get = async (url, init) => {
  const answer = await fetch(url, init);
  if (answer.type.startsWith("opaque")) return `${answer.type} answer`;
  return readable(`${answer.status} ${(await answer.text()).slice(0, 50)}`);
};
const post = (url, init) => get(url, { method: "POST", mode: "no-cors", body, ...init });

// An element that fetches by itself.
const element = (tag, attributes, parent = document.body) =>
  new Promise((resolve) => {
    const made = document.createElement(tag);
    made.onload = () => resolve(`${tag} loaded`);
    made.onerror = () => resolve(`${tag} error`);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    parent.append(made);
    setTimeout(() => resolve("nothing"), 500);
  });

// What the page can see of a frame once something was loaded into it.
const inside = (frame) => {
  try {
    const text = frame.contentDocument?.body?.innerText;
    // A frame that is still about:blank is the page's own.
    if (text && frame.contentWindow.location.href !== "about:blank") return readable(text.slice(0, 50));
  } catch {
    return "frame closed to the page";
  }
  return "frame closed to the page";
};
const frame = async (attributes, start = () => {}) => {
  const made = document.createElement("iframe");
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  const loaded = new Promise((resolve) => (made.onload = resolve));
  document.body.append(made);
  const began = start(made);
  await Promise.race([loaded, sleep(1500)]);
  await began;
  await sleep(50);
  const saw = inside(made);
  made.remove();
  return saw;
};
const form = (attributes, inputs = { '{"model":"gpt-mock","input":"': '"}' }) => {
  const made = document.createElement("form");
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  for (const [name, value] of Object.entries(inputs)) {
    const input = document.createElement("input");
    Object.assign(input, { type: "hidden", name, value });
    made.append(input);
  }
  document.body.append(made);
  return made;
};
const formInFrame = (attributes, inputs) =>
  frame({ name: `frame${attacks.length}${Math.random()}` }, async (made) => {
    form({ ...attributes, target: made.name }, inputs).submit();
    await sleep(200);
  });
const popup = async (url, features) => {
  const opened = open(url, "_blank", features);
  await sleep(500);
  let saw = opened || /noopener/.test(features) ? "window closed to the page" : broken("popup blocked");
  try {
    const text = opened.document.body.innerText;
    if (text && opened.location.href !== "about:blank") saw = readable(text.slice(0, 50));
  } catch {}
  opened?.close();
  return saw;
};
const inDocument = (script) => `<script>${script}</${""}script>`;
// Not from its address: on the rebound origin that leads to the target by now.
const workerSource = await (await fetch("/worker.js")).blob();
const inWorker = (message) =>
  new Promise((resolve) => {
    const worker = new Worker(URL.createObjectURL(workerSource));
    worker.onmessage = (event) => resolve(event.data);
    worker.onerror = () => resolve(broken("the worker did not start"));
    worker.postMessage(message);
  });
const inServiceWorker = async (message) => {
  const registration = await navigator.serviceWorker.register("/worker.js");
  await navigator.serviceWorker.ready;
  const answer = new Promise((resolve) => (navigator.serviceWorker.onmessage = (event) => resolve(event.data)));
  registration.active.postMessage(message);
  return answer;
};
const settle = async (saw, ms = 250) => {
  await sleep(ms);
  return saw;
};

// ---- the attacks: requests from script

add("fetch no-cors POST", MUST | CORE, () => post(responses));
add("fetch no-cors GET /shutdown", MUST | CORE, () => get(shutdown, { mode: "no-cors" }));
if (evil) {
  for (const host of ["localhost", "[::1]", "0.0.0.0", "evil.localhost", "localhost.", "rebind.example"]) {
    const must = ["localhost", "rebind.example"].includes(host) ? MUST : 0;
    add(`fetch no-cors POST ${host}`, must, () => post(`http://${host}:${port}/v1/responses`));
    add(`fetch no-cors GET ${host}/shutdown`, must, () => get(`http://${host}:${port}/shutdown`, { mode: "no-cors" }));
    add(`iframe ${host}/shutdown`, must, () => frame({ src: `http://${host}:${port}/shutdown` }));
  }
  add("fetch no-cors POST [::ffff:127.0.0.1]", 0, () => post(`http://[::ffff:127.0.0.1]:${port}/v1/responses`));
}
add("fetch text/plain; application/json", MUST, () =>
  post(responses, { headers: { "content-type": "text/plain; application/json" } }),
);
add("fetch no-cors, JSON Blob", MUST, () => post(responses, { body: new Blob([body], { type: "application/json" }) }));
add("fetch no-cors, credentials, no referrer", MUST | CORE, () =>
  post(responses, { credentials: "include", referrerPolicy: "no-referrer" }),
);
add("fetch no-cors GET /shutdown, no referrer", CORE, () =>
  get(shutdown, { mode: "no-cors", referrerPolicy: "no-referrer", cache: "no-store" }),
);
add("fetch cors POST", MUST | CORE, () => post(responses, { mode: "cors" }));
add("fetch cors GET /shutdown", MUST | CORE, () => get(shutdown, { mode: "cors" }));
add("fetch cors POST, Authorization, JSON", MUST | CORE, () =>
  post(responses, { mode: "cors", headers: { authorization: "Bearer x", "content-type": "application/json" } }),
);
add("fetch cors POST, to local addresses", 0, () => post(responses, { mode: "cors", targetAddressSpace: "loopback" }));
add("fetch keepalive", MUST, () => post(responses, { keepalive: true }));
add("fetchLater", 0, () => {
  const init = { method: "POST", body, mode: "no-cors", activateAfter: 0 };
  return settle(`activated: ${fetchLater(responses, init).activated}`);
});
add("XMLHttpRequest POST", MUST | CORE, async () => {
  const request = new XMLHttpRequest();
  request.open("POST", responses);
  const ended = new Promise((resolve) => (request.onloadend = resolve));
  request.send(body);
  await ended;
  return request.status ? readable(`${request.status} ${request.responseText.slice(0, 50)}`) : "error, status 0";
});
add("sendBeacon", MUST | CORE, () => settle(`queued: ${navigator.sendBeacon(responses, body)}`));
add("sendBeacon, JSON Blob", MUST, () =>
  settle(`queued: ${navigator.sendBeacon(responses, new Blob([body], { type: "application/json" }))}`),
);
add("a ping", 0, () => {
  const link = document.createElement("a");
  Object.assign(link, { href: "#", ping: responses });
  document.body.append(link);
  link.click();
  return settle("sent");
});
for (const [path, url] of [["/v1/responses", responses], ["/shutdown", shutdown]]) {
  add(`EventSource ${path}`, MUST | CORE, () => {
    const source = new EventSource(url);
    return new Promise((resolve) => {
      source.onopen = () => resolve(readable("open"));
      source.onerror = () => resolve("error");
    }).finally(() => source.close());
  });
  add(`WebSocket ${path}`, MUST | CORE, () => {
    const socket = new WebSocket(url.replace("http:", "ws:"));
    return new Promise((resolve) => {
      socket.onopen = () => resolve(readable("open"));
      socket.onclose = (event) => resolve(`closed, ${event.code}`);
    });
  });
}
add("worker, fetch POST", MUST | CORE, () => inWorker({ url: responses, body }));
add("worker, fetch GET /shutdown", MUST | CORE, () => inWorker({ url: shutdown }));
add("worker, importScripts /shutdown", MUST, () => inWorker({ how: "import", url: shutdown }));
add("service worker, fetch POST", 0, () => inServiceWorker({ url: responses, body }));
add("service worker, fetch GET /shutdown", 0, () => inServiceWorker({ url: shutdown }));
add("background fetch POST", 0, async () => {
  await navigator.serviceWorker.register("/worker.js");
  const registration = await navigator.serviceWorker.ready;
  const request = new Request(responses, { method: "POST", body, mode: "cors" });
  await registration.backgroundFetch.fetch("attack", [request]);
  return settle("started", 1500);
});
add("FedCM, configURL /shutdown", 0, async () => {
  const providers = [{ configURL: `http://localhost:${port}/shutdown`, clientId: "x", nonce: "x" }];
  return Promise.race([navigator.credentials.get({ identity: { providers } }), settle("nothing", 600)]);
});

// ---- what a document loads. Before the windows: a page behind one is not painted.

add("img /shutdown", MUST | CORE, () => element("img", { src: shutdown }));
add("img /shutdown, no referrer", MUST, () => element("img", { src: `${shutdown}#2`, referrerpolicy: "no-referrer" }));
add("script /shutdown", MUST | CORE, () => element("script", { src: shutdown }));
add("script module /shutdown", MUST, () => element("script", { src: shutdown, type: "module" }));
add("link stylesheet /shutdown", MUST | CORE, () => element("link", { rel: "stylesheet", href: shutdown }));
for (const rel of ["prefetch", "preload", "modulepreload", "prerender", "icon", "manifest", "search"]) {
  const attributes = { rel, href: shutdown };
  if (rel === "preload") attributes.as = "fetch";
  if (rel === "search") attributes.type = "application/opensearchdescription+xml";
  add(`link ${rel} /shutdown`, 0, () => element("link", attributes, document.head));
}
add("object /shutdown", 0, () => element("object", { data: shutdown }));
add("embed /shutdown", 0, () => element("embed", { src: shutdown, type: "text/html" }));
add("video /shutdown", 0, () => element("video", { src: shutdown, preload: "auto" }));
add("audio /shutdown", 0, () => element("audio", { src: shutdown, preload: "auto" }));
add("CSS font and background /shutdown", MUST, () => {
  const style = document.createElement("style");
  style.textContent = `@font-face{font-family:x;src:url(${shutdown})}p{font-family:x;background:url(${shutdown}#3)}`;
  const text = document.createElement("p");
  text.textContent = "text";
  document.body.append(style, text);
  return settle("nothing");
});

// By another name where there is one, or the windows below are answered from what was fetched here.
const other = { evil: "localhost", local: "127.0.0.1", rebound: location.hostname }[set];
for (const [action, url] of [
  ["prefetch", `http://${other}:${port}/shutdown`],
  ["prerender", `http://${other}:${port}/shutdown`],
  ["redirect 302", via("redirect/302", `http://${other}:${port}/shutdown`)],
]) {
  add(`speculation rules, ${action} /shutdown`, CORE, () => {
    const rules = document.createElement("script");
    rules.type = "speculationrules";
    rules.textContent = JSON.stringify({
      [action === "prerender" ? action : "prefetch"]: [{ source: "list", urls: [url], eagerness: "immediate" }],
    });
    document.head.append(rules);
    return settle("nothing", 500).finally(() => rules.remove());
  });
}

// ---- redirects from the attacker's server

for (const code of [302, 307]) {
  add(`fetch POST, redirect ${code}`, MUST | CORE, () => post(via(`redirect/${code}`, code === 302 ? shutdown : responses)));
  add(`form POST, redirect ${code}`, MUST | CORE, () =>
    formInFrame({ method: "post", enctype: "text/plain", action: via(`redirect/${code}`, code === 302 ? shutdown : responses) }),
  );
}
add("fetch cors POST, redirect 307", MUST, () => post(via("redirect/307", responses), { mode: "cors" }));
add("iframe, redirect 302 /shutdown", MUST | CORE, () => frame({ src: via("redirect/302", shutdown) }));
add("iframe, Refresh /shutdown", MUST, () => frame({ src: via("refresh", shutdown) }, () => sleep(250)));
add("window, redirect 302 /shutdown", MUST | CORE, () => popup(via("redirect/302", shutdown)));
add("worker, redirect 302 /shutdown", MUST, () => inWorker({ url: via("redirect/302", shutdown) }));
add("img, redirect 302 /shutdown", MUST, () => element("img", { src: via("redirect/302", shutdown) }));

// ---- navigations

add("form POST text/plain", MUST | CORE, () => formInFrame({ method: "post", enctype: "text/plain", action: responses }));
add("form POST urlencoded", MUST, () => formInFrame({ method: "post", action: responses }));
add("form POST, no referrer", MUST, () =>
  formInFrame({ method: "post", enctype: "text/plain", action: responses, rel: "noreferrer" }),
);
add("form POST, sandboxed frame", MUST, () =>
  frame({
    sandbox: "allow-scripts allow-forms",
    srcdoc: `<form method=post enctype=text/plain action=${responses}><input name=x value=y></form>${inDocument("document.forms[0].submit()")}`,
  }, () => sleep(250)),
);
add("form GET /shutdown", MUST | CORE, () => formInFrame({ action: shutdown }, {}));
add("form POST, new window", MUST | CORE, async () => {
  form({ method: "post", enctype: "text/plain", action: responses, target: "_blank" }).submit();
  return settle("sent");
});
add("iframe /shutdown", MUST | CORE, () => frame({ src: shutdown }));
add("iframe /shutdown, no referrer", MUST, () => frame({ src: shutdown, referrerpolicy: "no-referrer" }));
add("iframe /shutdown, sandboxed", MUST | CORE, () => frame({ src: shutdown, sandbox: "" }));
add("iframe data:, fetch POST", MUST, () =>
  frame({ src: `data:text/html,${encodeURIComponent(inDocument(`fetch("${responses}",{method:"POST",mode:"no-cors",body:"x"})`))}` }, () => sleep(250)),
);
add("iframe data:, location /shutdown", MUST, () =>
  frame({ src: `data:text/html,${encodeURIComponent(inDocument(`location="${shutdown}"`))}` }, () => sleep(250)),
);
add("iframe blob:, location /shutdown", MUST, () =>
  frame({ src: URL.createObjectURL(new Blob([inDocument(`location="${shutdown}"`)], { type: "text/html" })) }, () => sleep(250)),
);
add("iframe, meta refresh /shutdown", MUST, () =>
  frame({ srcdoc: `<meta http-equiv=refresh content="0;url=${shutdown}">` }, () => sleep(250)),
);
add("window.open /shutdown", MUST | CORE, () => popup(shutdown));
add("window.open /shutdown, noreferrer", MUST | CORE, () => popup(shutdown, "noopener,noreferrer"));
add("window.open, then location /shutdown", MUST, async () => {
  const opened = open("about:blank", "_blank");
  opened.location = shutdown;
  await sleep(500);
  opened.close();
  return "window closed to the page";
});
for (const [name, target, more] of [
  ["to new window", "_blank", { rel: "noreferrer" }],
  ["with download", "download", { download: "x" }],
]) {
  add(`click on link ${name} /shutdown`, MUST, () =>
    frame({ name: "download" }, () => {
      const link = document.createElement("a");
      Object.assign(link, { href: shutdown, target, ...more });
      document.body.append(link);
      link.click();
      return sleep(250);
    }),
  );
}

// ---- what the browser sends for a document: JSON, and with no script of the page in the way

add("CSP report-uri", MUST, () => frame({ src: via("report-uri", responses) }, () => sleep(250)));

// ---- all of it

const tell = (path, what) =>
  fetch(`${home}/${path}`, { method: "POST", body: JSON.stringify({ target, set, ...what }) });
await tell("plan", { attacks: attacks.map(({ name }) => name) });
for (const { name, must, run } of attacks) {
  await tell("start", { attack: name });
  let result;
  try {
    result = await Promise.race([run(), sleep(3000).then(() => "no answer in 3 s")]);
  } catch (error) {
    result = `${error.name}: ${error.message}`.slice(0, 60);
  }
  if (typeof result === "string") result = { saw: result };
  await tell("report", { attack: name, must, ...result });
}
location = `${home}/next/${target}`;
