// What Node's parser (llhttp, strict) makes of each row: one JSON line per row of standard input.
import http from 'node:http';
import net from 'node:net';
import readline from 'node:readline';

const seen = new Map(); // by the caller's port: the requests, in order
const server = http.createServer({ insecureHTTPParser: false });
const take = (request, response) => {
    const row = { method: request.method, target: request.url, body: '', whole: false };
    seen.get(request.socket.remotePort).push(row);
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => Object.assign(row, { whole: true, body: Buffer.concat(pieces).toString('latin1') }));
    response?.end?.('ok');
};
server.on('request', take);
server.on('checkExpectation', take);
server.on('connect', (request, socket) => (take(request), socket.destroy()));
server.on('connection', (socket) => seen.set(socket.remotePort, []));
server.on('clientError', (error, socket) => socket.destroy());

const look = ({ row, sent }) =>
    new Promise((done) => {
        const client = net.connect(server.address().port, '127.0.0.1', () => {
            const port = client.localPort;
            client.resume().end(Buffer.from(sent, 'latin1'));
            client.setTimeout(5000, () => client.destroy());
            client.on('close', () => done({ row, requests: seen.get(port) ?? [] }));
        });
        client.on('error', () => {}); // a reset is an answer too
    });

server.listen(0, '127.0.0.1', async () => {
    for await (const line of readline.createInterface({ input: process.stdin }))
        console.log(JSON.stringify(await look(JSON.parse(line))));
    process.exit();
});
