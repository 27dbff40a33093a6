import { createHash } from 'node:crypto';
import type { Context } from '../context.ts';
import type { Answer } from './handler.ts';

/** 200 with JSON. */
export const ok = (json: unknown, headers?: Record<string, string>): Answer => ({ status: 200, json, ...(headers ? { headers } : {}) });

/** 201 with JSON. */
export const created = (json: unknown, headers?: Record<string, string>): Answer => ({ status: 201, json, ...(headers ? { headers } : {}) });

/** Bytes that anyone may keep for a while, with an entity tag over them. */
export function publicBytes(bytes: Uint8Array, contentType: string, maxAgeSeconds: number): Answer {
  const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 27)}"`;
  return { status: 200, bytes, contentType, headers: { 'cache-control': `public, max-age=${maxAgeSeconds}`, etag } };
}

/** Items of one page: what was asked for, within the limits of the configuration. */
export const pageSize = (ctx: Pick<Context, 'config'>, asked: number | undefined): number => Math.min(asked ?? ctx.config.pageSizeDefault, ctx.config.pageSizeMax);

/** A time as the wire has it. */
export const iso = (date: Date): string => date.toISOString();
export const isoOrNull = (date: Date | null): string | null => date?.toISOString() ?? null;
