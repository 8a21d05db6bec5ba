// An aedes broker on four free ports of 127.0.0.1. Started by diagtest.Aedes, which passes a folder with cert.pem and
// key.pem, and the node_modules folder; prints one JSON line with the ports, and ends when its standard input does.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { createRequire } from 'node:module'
import net from 'node:net'
import tls from 'node:tls'
import { pathToFileURL } from 'node:url'

const [dir, modules] = process.argv.slice(2)
// This script lies outside the project, and an import looks for packages beside the importing file only.
const require = createRequire(modules + '/')

const { Aedes } = await import(pathToFileURL(require.resolve('aedes')))
const { WebSocketServer, createWebSocketStream } = require('ws')

const broker = await Aedes.createBroker()
const certificate = { cert: readFileSync(dir + '/cert.pem'), key: readFileSync(dir + '/key.pem') }
const servers = {
  mqtt: net.createServer(broker.handle),
  mqtts: tls.createServer(certificate, broker.handle),
  ws: http.createServer(),
  wss: https.createServer(certificate)
}
for (const kind of ['ws', 'wss']) {
  const sockets = new WebSocketServer({ server: servers[kind], handleProtocols: offered => offered.has('mqtt') && 'mqtt' })
  sockets.on('connection', (socket, request) => broker.handle(createWebSocketStream(socket), request))
}
const ports = {}
for (const [kind, server] of Object.entries(servers)) {
  server.on('tlsClientError', () => {})
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  ports[kind] = server.address().port
}
console.log(JSON.stringify(ports))
process.stdin.on('end', () => process.exit()).resume()
