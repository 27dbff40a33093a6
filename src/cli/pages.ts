import type { Operation } from '../api/operation.ts';
import type { ApiCall, ApiClient } from '../client/api-client.ts';
import type { CliContext } from './command.ts';
import { columnsThatFit, leftOut, show, table } from './output.ts';

interface Page {
  items: Record<string, unknown>[];
  nextCursor: string | null;
}

export interface Listing {
  operation: Operation;
  call: ApiCall;
  columns: readonly string[];
  /** Every page, not only the first. */
  all: boolean;
}

/** Shows one page, or all of them as they come: as one JSON document, or as tables. */
export async function showPages(cli: CliContext, client: ApiClient, { operation, call, columns, all }: Listing): Promise<void> {
  if (!all) {
    show(cli, (await client.call(operation, call)).text, columns);
    return;
  }
  const write = cli.json ? jsonWriter(cli) : tableWriter(cli, columns);
  for await (const items of pages(client, operation, call)) write.page(items);
  write.end();
}

/** The pages of a list. That of the audit log has no last page: it ends where the cursor no longer moves. */
async function* pages(client: ApiClient, operation: Operation, call: ApiCall): AsyncGenerator<Page['items']> {
  let cursor: string | undefined;
  for (;;) {
    const answer = await client.call(operation, cursor === undefined ? call : { ...call, query: { ...call.query, cursor } });
    const { items, nextCursor } = JSON.parse(answer.text) as Page;
    yield items;
    if (nextCursor === null || nextCursor === cursor) return;
    cursor = nextCursor;
  }
}

interface Writer {
  page(items: Page['items']): void;
  end(): void;
}

/** One document, however long: items are written as they come. */
function jsonWriter({ io }: CliContext): Writer {
  let separator = '{"items":[';
  return {
    page(items) {
      for (const item of items) {
        io.out.write(separator + JSON.stringify(item));
        separator = ',';
      }
    },
    end: () => io.out.write(`${separator === ',' ? '' : separator}],"nextCursor":null}\n`),
  };
}

/** Widths are those of each page, columns those that fit for the first; the head stands once. */
function tableWriter({ io }: CliContext, columns: readonly string[]): Writer {
  let fitting: readonly string[] | undefined;
  return {
    page(items) {
      if (items.length === 0) return;
      const head = fitting === undefined;
      fitting ??= columnsThatFit(items, columns, io.out.columns);
      io.out.write(table(items, fitting, { width: io.out.columns, head }));
    },
    end: () => io.out.write(fitting === undefined ? 'none\n' : leftOut(columns, fitting)),
  };
}
