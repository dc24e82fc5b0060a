/** What the private side answers, and who answers each part of it. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AuditDesk } from '../api/audit.ts'
import type { BundleDesk } from '../api/bundles.ts'
import { onlyDatabase } from '../api/databases.ts'
import type { MembershipDesk } from '../api/membership.ts'
import type { OptionsDesk } from '../api/optionsInForce.ts'
import type { PairingDoor } from '../api/pairing.ts'
import type { PastDesk } from '../api/past.ts'
import type { RoleActions } from '../api/roleActions.ts'
import type { PauseDesk } from '../api/rolePause.ts'
import type { TokenDesk } from '../api/tokens.ts'
import type { Access } from './access.ts'
import { addProofRoute, type ProofParts } from './answerProofs.ts'
import { type ArchiveParts, addArchiveRoutes } from './archiveRoutes.ts'
import { type ArchivingDesks, addArchivistRoutes } from './archivistRoutes.ts'
import { addAuditRoutes } from './auditRoutes.ts'
import { addBundleRoutes } from './bundleRoutes.ts'
import { addCheckRoutes } from './checkRoutes.ts'
import { addConsoleRoutes, type ConsoleParts } from './consoleRoutes.ts'
import { addHealthRoutes, type HealthParts } from './healthRoutes.ts'
import { addMemberRoutes } from './memberRoutes.ts'
import { addOptionRoutes } from './optionRoutes.ts'
import { addPairingRoutes } from './pairingRoutes.ts'
import { addPastRoutes } from './pastRoutes.ts'
import { addPauseRoutes } from './pauseRoutes.ts'
import { addRoleRoutes } from './roleRoutes.ts'
import { addStatusRoutes, type StatusParts } from './statusRoutes.ts'
import { addTokenRoutes } from './tokenRoutes.ts'
import { addTrustRoutes, type TrustDesk } from './trustRoutes.ts'

export interface PrivateParts
  extends HealthParts,
    StatusParts,
    ProofParts,
    ArchiveParts,
    ConsoleParts {
  readonly audit: AuditDesk
  readonly trust: TrustDesk & HealthParts['trust']
  readonly tokens: TokenDesk & ProofParts['tokens']
  readonly pairing: PairingDoor
  readonly inForce: OptionsDesk
  readonly membership: MembershipDesk
  readonly pause: PauseDesk
  readonly archiving: ArchivingDesks
  readonly past: PastDesk
  readonly bundles: BundleDesk
  /** Undefined while the node starts. */
  roles(): RoleActions | undefined
}

export function addPrivateRoutes(
  app: FastifyInstance,
  parts: PrivateParts,
  access: Access,
  isStopping: () => boolean,
): void {
  const placeOf = (request: FastifyRequest) => access.placeOf(request)
  addHealthRoutes(app, parts, isStopping)
  addStatusRoutes(app, parts, (request) => access.isStillIn(request), placeOf)
  addCheckRoutes(app, () => onlyDatabase(parts.databases).checks)
  addOptionRoutes(app, parts.inForce)
  addBundleRoutes(app, parts.bundles, placeOf)
  addAuditRoutes(app, () => parts.audit, placeOf)
  addRoleRoutes(app, () => parts.roles(), placeOf)
  addTokenRoutes(app, parts.tokens, placeOf)
  addPairingRoutes(app, parts.pairing, placeOf)
  addMemberRoutes(app, parts.membership, placeOf)
  addPauseRoutes(app, parts.pause, placeOf)
  addProofRoute(app, parts)
  addTrustRoutes(app, parts.trust)
  addArchivistRoutes(app, parts.archiving, placeOf)
  addArchiveRoutes(app, parts, placeOf)
  addPastRoutes(app, parts.past, placeOf)
  addConsoleRoutes(app, parts, access)
}
