// Runs as a worker and as a service worker of the attack page: {how, url, body} says what to do.
const attack = async ({ how, url, body }) => {
  try {
    if (how === "import") {
      importScripts(url);
      return "the script ran";
    }
    const init = body ? { method: "POST", body } : {};
    const answer = await fetch(url, { mode: "no-cors", ...init });
    return `${answer.type} answer`;
  } catch (error) {
    return String(error.message).slice(0, 60);
  }
};
onmessage = async (event) => (event.source ?? self).postMessage(await attack(event.data));
