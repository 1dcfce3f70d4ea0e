import { NoSuchLeaseError, sealValue, VersionConflictError, type StoreOperation } from '@net/datastore'
import { encodeBase64 } from './base64.ts'
import { EtcdRefusedError, EtcdReplyError, TransactionTooLargeError } from './errors.ts'
import type { KeySpace } from './key-space.ts'
import { sortOf } from './refusal.ts'
import { isLeaseId, type TransactionReply } from './replies.ts'

/** etcd's `--max-request-bytes`, of 1.5 MiB unless it is told otherwise, less its own header. */
const MAX_TRANSACTION_BYTES = 1_572_864 - 1024
/** Tags, lengths and versions of an operation with its comparison and look-up, in protobuf. */
const OPERATION_BYTES = 64

/** A transaction as etcd takes it. */
export interface EtcdTransaction {
  readonly compare: readonly object[]
  readonly success: readonly object[]
  /** Looks at every key that was compared, so that the one that differs can be named. */
  readonly failure: readonly object[]
}

type Condition = StoreOperation & { readonly ifVersion: number }

/** @throws `ERR_TRANSACTION_TOO_LARGE`; `ERR_NO_SUCH_LEASE` for what cannot be the id of one */
export function encodeTransaction(operations: readonly StoreOperation[], keys: KeySpace): EtcdTransaction {
  const bytes = sizeOf(operations, keys)
  if (bytes > MAX_TRANSACTION_BYTES) throw new TransactionTooLargeError(bytes, `${MAX_TRANSACTION_BYTES} at most`)
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
export function explainRefusal(error: unknown, operations: readonly StoreOperation[], keys: KeySpace): unknown {
  if (!(error instanceof EtcdRefusedError)) return error
  const sort = sortOf(error)
  if (sort === 'no-lease') return new NoSuchLeaseError(leasesOf(operations).join(', '))
  if (sort !== 'too-large') return error
  return new TransactionTooLargeError(sizeOf(operations, keys), 'what --max-request-bytes of etcd allows')
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

/** At least what the request has in protobuf: that is what etcd measures, not the text that carries it. */
function sizeOf(operations: readonly StoreOperation[], keys: KeySpace): number {
  return operations.reduce((sum, operation) => {
    const keyBytes = (keys.key(operation.key).length * 3) / 4
    const valueBytes = operation.type === 'put' ? operation.value.length : 0
    return sum + OPERATION_BYTES + 3 * keyBytes + valueBytes
  }, 0)
}
