import { createAdminToken, getOwnAdminToken, listAdminTokens, revokeAdminToken, rotateAdminToken, rotateOwnAdminToken } from './admin-tokens.ts';
import { getAuditEvidence, getConsistencyProof, getInclusionProof, getIssuanceProof } from './audit-proofs.ts';
import { activateAgent, changeAgent, getAgent, listAgents, registerAgent, resumeAgent, retireAgent, suspendAgent } from './agents.ts';
import { getTrustBundle, listAuthorities, rolloverRoot, rotateAuthority } from './authorities.ts';
import {
  getCertificate, holdCertificate, issueCertificate, listCertificates, releaseCertificate, renewCertificate, revokeAgentCertificates, revokeCertificate,
} from './certificates.ts';
import {
  acknowledgeRevocations, followRevocations, getRevocation, getRevocationSnapshot, leaveEnforcementPoint, listEnforcementPoints, registerEnforcementPoint,
} from './feed.ts';
import { getInstance, listInstances, quarantineInstance, releaseInstance, revokeInstance } from './instances.ts';
import { createJoinToken, listJoinTokens } from './join-tokens.ts';
import {
  getCompleteCrl, getCrlShard, getDocsPage, getErrorsDocument, getHealth, getIssuerCertificate, getMetrics, getOcsp, getOpenApi, getReadiness, getSpiffeBundle, getTrustBundlePem, listCrls, postOcsp,
} from './public.ts';
import { getKill, killOperation as kill, listKills, resumeKill } from './kills.ts';
import { getAuditLog, getCheckpoint, getLogEntries, getLogKey, getLogTile } from './log.ts';
import { listAudit, listFindings, listJobs, resolveFinding } from './records.ts';
import {
  addRelyingPartyCertificate, changeRelyingParty, createRelyingPartyToken, disableRelyingParty, enableRelyingParty, getRelyingParty, listRelyingParties,
  listRelyingPartyTokens, registerRelyingParty, removeRelyingPartyCertificate, revokeRelyingPartyToken,
} from './relying-parties.ts';
import { getRenewalInfo, steerRenewals } from './renewals.ts';
import { getIdentity, getStatus, getStatusByFingerprint, listAgentStatuses, listInstanceStatuses, listStatuses } from './status.ts';

/** The closed list of operations by id: all there is on the wire. http/routes.ts must have a row for each to compile. */
export const OPERATIONS = {
  registerAgent, listAgents, getAgent, changeAgent, activateAgent, suspendAgent, resumeAgent, retireAgent,
  listInstances, getInstance, quarantineInstance, releaseInstance, revokeInstance,
  createJoinToken, listJoinTokens,
  issueCertificate, renewCertificate, listCertificates, getCertificate, revokeCertificate, holdCertificate, releaseCertificate, revokeAgentCertificates, getIssuanceProof,
  getRenewalInfo, steerRenewals,
  kill, listKills, getKill, resumeKill,
  getStatus, listStatuses, listAgentStatuses, listInstanceStatuses, getStatusByFingerprint, getIdentity,
  followRevocations, getRevocationSnapshot, getRevocation, registerEnforcementPoint, acknowledgeRevocations, leaveEnforcementPoint, listEnforcementPoints,
  listAuthorities, rotateAuthority, rolloverRoot, getTrustBundle,
  createAdminToken, listAdminTokens, getOwnAdminToken, rotateOwnAdminToken, rotateAdminToken, revokeAdminToken,
  registerRelyingParty, listRelyingParties, getRelyingParty, changeRelyingParty, disableRelyingParty, enableRelyingParty,
  addRelyingPartyCertificate, removeRelyingPartyCertificate, createRelyingPartyToken, listRelyingPartyTokens, revokeRelyingPartyToken,
  listAudit, getAuditLog, listJobs, listFindings, resolveFinding,
  getConsistencyProof, getInclusionProof, getAuditEvidence,
  getCheckpoint, getLogKey, getLogEntries, getLogTile,
  getCompleteCrl, getCrlShard, listCrls, getIssuerCertificate, postOcsp, getOcsp, getTrustBundlePem, getSpiffeBundle,
  getErrorsDocument, getOpenApi, getDocsPage, getHealth, getReadiness, getMetrics,
};
export type OperationId = keyof typeof OPERATIONS;
