/** The load's HTTP/1.1 client: ready-made octets out, status and body in. Node's own client costs three times as much, on the cores that are measured. */
import net from 'node:net';
import tls from 'node:tls';

/** Where to: TLS when `secure` is there. */
export interface Door {
  port: number;
  /** Trusts the root; may hold a client certificate, too. */
  secure?: tls.SecureContext;
}

export interface Reply {
  status: number;
  body: Buffer;
}

/** One connection, one request at a time. */
export interface Connection {
  /** Our port: names the connection to /proc/net/tcp. */
  readonly localPort: number;
  /** @throws Error when the connection ends before the whole answer came */
  ask(request: Buffer): Promise<Reply>;
  close(): void;
}

const HOST = '127.0.0.1';
const HEAD_END = Buffer.from('\r\n\r\n');

/** Opens a connection; a TLS one is open when its handshake is done. No session is ever resumed. */
export async function connect({ port, secure }: Door): Promise<Connection> {
  const socket = secure ? tls.connect({ host: HOST, port, secureContext: secure, servername: 'localhost', checkServerIdentity: () => undefined }) : net.connect({ host: HOST, port });
  socket.setNoDelay(true);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once(secure ? 'secureConnect' : 'connect', () => resolve());
  });
  return connectionOver(socket);
}

function connectionOver(socket: net.Socket): Connection {
  let waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void } | undefined;
  let received: Buffer[] = [];
  let length = 0;
  /** Octets of the whole answer, once its head is there. */
  let wanted = Infinity;
  let head = { status: 0, bytes: 0 };

  function take(): void {
    const whole = received.length === 1 && received[0] ? received[0] : Buffer.concat(received, length);
    received = [whole];
    if (wanted === Infinity) {
      const end = whole.indexOf(HEAD_END);
      if (end < 0) return;
      const text = whole.toString('latin1', 0, end);
      head = { status: Number(text.slice(9, 12)), bytes: end + HEAD_END.length };
      wanted = head.bytes + Number(/\r\ncontent-length: *(\d+)/i.exec(text)?.[1] ?? 0);
    }
    if (length < wanted) return;
    const { resolve } = waiting ?? {};
    waiting = undefined;
    received = [];
    length = 0;
    wanted = Infinity;
    resolve?.({ status: head.status, body: whole.subarray(head.bytes) });
  }

  const fail = (error: Error) => {
    waiting?.reject(error);
    waiting = undefined;
  };
  socket.on('data', (chunk: Buffer) => {
    received.push(chunk);
    length += chunk.length;
    if (length >= wanted || wanted === Infinity) take();
  });
  socket.on('error', fail);
  socket.on('close', () => fail(new Error('the connection ended before the answer')));
  const { localPort = 0 } = socket;
  return {
    localPort,
    ask(request) {
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        socket.write(request);
      });
    },
    close: () => socket.destroy(),
  };
}

/** A request as it goes over the wire. */
export function requestOf(method: string, path: string, headers: Readonly<Record<string, string>> = {}, body: Uint8Array = Buffer.alloc(0)): Buffer {
  const length = method === 'GET' ? {} : { 'content-length': String(body.length) };
  const lines = Object.entries({ host: 'localhost', ...headers, ...length }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1'), body]);
}
