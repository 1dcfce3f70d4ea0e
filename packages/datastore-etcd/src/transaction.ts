import {
  NoSuchLeaseError,
  sealValue,
  TransactionTooLargeError,
  VersionConflictError,
  type StoreOperation,
} from '@net/datastore'
import { encodeBase64 } from './base64.ts'
import { EtcdRefusedError, EtcdReplyError } from './errors.ts'
import type { KeySpace } from './key-space.ts'
import { sortOf } from './refusal.ts'
import { isLeaseId, type TransactionReply } from './replies.ts'

/** A transaction as etcd takes it. */
export interface EtcdTransaction {
  readonly compare: readonly object[]
  readonly success: readonly object[]
  /** Looks at every key that was compared, so that the one that differs can be named. */
  readonly failure: readonly object[]
}

type Condition = StoreOperation & { readonly ifVersion: number }

/** @throws `ERR_NO_SUCH_LEASE` for what cannot be the id of one */
export function encodeTransaction(operations: readonly StoreOperation[], keys: KeySpace): EtcdTransaction {
  const conditions = conditionsOf(operations)
  return {
    compare: conditions.map(({ key, ifVersion }) => ({
      key: keys.key(key),
      target: 'MOD',
      result: 'EQUAL',
      mod_revision: String(ifVersion),
    })),
    success: operations.flatMap((operation) => encodeOperation(operation, keys)),
    failure: conditions.map(({ key }) => ({ request_range: { key: keys.key(key), keys_only: true } })),
  }
}

/** The condition that was not met. @throws `ERR_ETCD_REPLY` when all were */
export function conflictIn(operations: readonly StoreOperation[], reply: TransactionReply): VersionConflictError {
  const conditions = conditionsOf(operations)
  for (const [index, { key, ifVersion }] of conditions.entries()) {
    const actual = reply.steps[index]?.version
    if (actual !== undefined && actual !== ifVersion) return new VersionConflictError(key, ifVersion, actual)
  }
  throw new EtcdReplyError('a transaction refused whose conditions are met')
}

/** A refusal in the store's words. */
export function explainRefusal(error: unknown, operations: readonly StoreOperation[]): unknown {
  if (!(error instanceof EtcdRefusedError)) return error
  const sort = sortOf(error)
  if (sort === 'no-lease') return new NoSuchLeaseError(leasesOf(operations).join(', '))
  if (sort !== 'too-large') return error
  return new TransactionTooLargeError(sizeOf(operations), 'what --max-request-bytes of etcd allows')
}

function conditionsOf(operations: readonly StoreOperation[]): readonly Condition[] {
  return operations.filter((operation): operation is Condition => operation.ifVersion !== undefined)
}

function leasesOf(operations: readonly StoreOperation[]): readonly string[] {
  const leases = operations.flatMap((operation) => (operation.type === 'put' ? [operation.lease] : []))
  return [...new Set(leases.filter((lease) => lease !== undefined))]
}

function encodeOperation(operation: StoreOperation, keys: KeySpace): object[] {
  switch (operation.type) {
    case 'check':
      return []
    case 'delete':
      return [{ request_delete_range: { key: keys.key(operation.key) } }]
    case 'put': {
      const { key, lease } = operation
      if (lease !== undefined && !isLeaseId(lease)) throw new NoSuchLeaseError(lease)
      const value = encodeBase64(sealValue(key, operation.value))
      return [{ request_put: { key: keys.key(key), value, ...(lease === undefined ? {} : { lease }) } }]
    }
  }
}

/** The bytes of all values: what can be chosen, and is mostly the reason. */
function sizeOf(operations: readonly StoreOperation[]): number {
  return operations.reduce((sum, operation) => sum + (operation.type === 'put' ? operation.value.length : 0), 0)
}
