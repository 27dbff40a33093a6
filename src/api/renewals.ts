import { z } from 'zod';
import { selector, SELECTOR_ERRORS } from './kills.ts';
import { operation } from './operation.ts';
import { id, nothing, optional, serialOut, time, why } from './values.ts';

/** When to renew one certificate, as RFC 9773 §4.2 has it. */
export const renewalInfo = z
  .object({
    serial: serialOut,
    suggestedWindow: z.object({ start: time, end: time }).describe('Renew at a random time in between; at once when it is over.'),
    explanationUrl: optional(z.string().describe('Why the window was moved, for people.')),
    steered: z.boolean().describe('Whether an operator moved the window.'),
    askAgainSeconds: z.int().describe('How long this holds: ask again then.'),
  })
  .meta({ id: 'RenewalInfo', description: 'When to renew a certificate.' });
export type RenewalInfoAnswer = z.output<typeof renewalInfo>;

export const getRenewalInfo = operation({
  id: 'getRenewalInfo', method: 'get', path: '/v1/renewal-info', tag: 'certificates', summary: 'When to renew the certificate that is shown, over mutual TLS',
  permission: 'certificates:renew', params: nothing, query: nothing, body: nothing, consumes: [], creates: false,
  responses: { 200: { description: 'The window as it is now.', contentTypes: ['application/json'], schema: renewalInfo } },
  errors: ['agent-suspended', 'agent-retired', 'instance-quarantined', 'instance-revoked', 'issuance-stopped'],
});

export const steerRenewalsBody = z.strictObject({
  selector,
  withinSeconds: z.int().min(0).max(604_800).default(300).describe('Over so many seconds from now the windows are spread, so that not all come at once.'),
  reason: why,
  explanationUrl: optional(z.url({ protocol: /^https?$/ }).max(500).describe('Shown to agents: why.')),
});
export type SteerRenewalsBody = z.output<typeof steerRenewalsBody>;

export const renewalSteer = z
  .object({ id, selector, withinSeconds: z.int(), certificates: z.int().describe('Live certificates it moves.'), createdAt: time, expiresAt: time.describe('When none of them can be renewed any more.') })
  .meta({ id: 'RenewalSteer', description: 'Renewal windows that were moved to now.' });
export type RenewalSteerAnswer = z.output<typeof renewalSteer>;

export const steerRenewals = operation({
  id: 'steerRenewals', method: 'post', path: '/v1/renewals/steer', tag: 'certificates', summary: 'Move the renewal windows of certificates to now',
  permission: 'renewals:steer', params: nothing, query: nothing, body: steerRenewalsBody, consumes: ['application/json'], creates: false,
  responses: { 201: { description: 'The windows are moved.', contentTypes: ['application/json'], schema: renewalSteer } },
  errors: [...SELECTOR_ERRORS],
});
