import type { DocumentedParameter, PathOperation } from './openapi.ts';

/** Where each door is, as the documents write it. */
const ADDRESS: Readonly<Record<string, string>> = { api: '$API', mtls: '$MTLS', status: '$STATUS', operations: '$OPERATIONS' };

/** The example request of an operation as a curl command; secrets come from files. */
export function curlOf(operation: PathOperation & { method: string; path: string }): string {
  const [door = 'api'] = operation['x-doors'];
  const bodies = Object.entries(operation.requestBody?.content ?? {});
  const [mediaType, content] = bodies.find(([type]) => type === 'application/pkcs10') ?? bodies[0] ?? [];
  const body = content?.examples?.['example']?.value;
  const parts = [
    'curl -sSf',
    ...(door === 'api' || door === 'mtls' ? ['--cacert root.pem'] : []),
    ...credentialOf(operation, door),
    ...(operation.method === 'patch' ? ['-X PATCH', `-H 'If-Match: "1"'`] : []),
    ...(mediaType === undefined ? [] : [`-H 'Content-Type: ${mediaType}'`]),
    ...(mediaType === 'application/pkcs10' ? ["-H 'Accept: application/pem-certificate-chain'"] : []),
    `"${ADDRESS[door]}${targetOf(operation)}"`,
    ...(mediaType === undefined ? [] : [dataOf(mediaType, body)]),
  ];
  return wrapped(parts);
}

function credentialOf({ security }: PathOperation, door: string): string[] {
  if (security.length === 0) return [];
  if (door === 'mtls') return ['--cert chain.pem --key key.pem'];
  return ['joinToken' in (security[0] ?? {}) ? '-H @join.header' : '-H @admin.header'];
}

function targetOf({ path, parameters }: PathOperation & { path: string }): string {
  const given = parameters.filter((parameter): parameter is DocumentedParameter => 'name' in parameter && parameter.example !== undefined);
  const filled = path.replaceAll(/\{(\w+)\}/g, (whole, name: string) => encodeURIComponent(given.find((parameter) => parameter.in === 'path' && parameter.name === name)?.example ?? whole));
  const query = new URLSearchParams(given.filter((parameter) => parameter.in === 'query').map(({ name, example }): [string, string] => [name, String(example)]));
  return query.size > 0 ? `${filled}?${query.toString()}` : filled;
}

function dataOf(mediaType: string, body: unknown): string {
  if (mediaType !== 'application/json') return `--data-binary @${mediaType === 'application/pkcs10' ? 'agent.csr' : 'request.der'}`;
  return `-d '${JSON.stringify(body ?? {}).replaceAll("'", "'\\''")}'`;
}

const WIDTH = 120;

/** One line, or several that the shell takes as one. */
function wrapped(parts: readonly string[]): string {
  const lines: string[] = [];
  let line = '';
  for (const part of parts) {
    if (line !== '' && line.length + part.length + 1 > WIDTH) {
      lines.push(line);
      line = `  ${part}`;
    } else line = line === '' ? part : `${line} ${part}`;
  }
  return [...lines, line].join(' \\\n');
}
