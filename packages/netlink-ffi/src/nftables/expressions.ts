import {
  attributes,
  be16,
  be32,
  be64,
  bytes,
  u8,
  walkAttributes,
  writeAttribute,
  zstring,
  type AttributeCodec,
} from '../attributes.ts'
import { MalformedMessageError } from '../errors.ts'
import { littleEndian } from '../writer.ts'
import { dataAttributes, type NftVerdict } from './verdict.ts'

/** What each sort of expression says to the kernel: NFTA_*, linux/netfilter/nf_tables.h. */
const codecs = {
  bitwise: attributes({
    sourceRegister: [1, be32],
    destinationRegister: [2, be32],
    length: [3, be32],
    mask: [4, dataAttributes],
    xor: [5, dataAttributes],
  }),
  cmp: attributes({ sourceRegister: [1, be32], operation: [2, be32], data: [3, dataAttributes] }),
  counter: attributes({ bytes: [1, be64], packets: [2, be64] }),
  ct: attributes({ destinationRegister: [1, be32], key: [2, be32] }),
  dynset: attributes({ set: [1, zstring], operation: [3, be32], keyRegister: [4, be32] }),
  fib: attributes({ destinationRegister: [1, be32], result: [2, be32], flags: [3, be32] }),
  immediate: attributes({ destinationRegister: [1, be32], data: [2, dataAttributes] }),
  lookup: attributes({
    set: [1, zstring],
    sourceRegister: [2, be32],
    destinationRegister: [3, be32],
    flags: [5, be32],
  }),
  log: attributes({ group: [1, be16], prefix: [2, zstring] }),
  masq: attributes({ flags: [1, be32] }),
  match: attributes({ name: [1, zstring], revision: [2, be32], info: [3, bytes] }),
  meta: attributes({ destinationRegister: [1, be32], key: [2, be32] }),
  nat: attributes({
    type: [1, be32],
    family: [2, be32],
    addressRegister: [3, be32],
    addressMaximumRegister: [4, be32],
    portRegister: [5, be32],
    portMaximumRegister: [6, be32],
    flags: [7, be32],
  }),
  payload: attributes({
    destinationRegister: [1, be32],
    base: [2, be32],
    offset: [3, be32],
    length: [4, be32],
    sourceRegister: [5, be32],
    checksumType: [6, be32],
    checksumOffset: [7, be32],
  }),
  reject: attributes({ type: [1, be32], code: [2, u8] }),
  target: attributes({ name: [1, zstring], revision: [2, be32], info: [3, bytes] }),
} as const

type Codecs = typeof codecs
type ExpressionName = keyof Codecs

/** One step of a rule: loads a register, compares one, looks one up or does something to the packet. */
export type NftExpression = {
  [Name in ExpressionName]: {
    readonly name: Name
    readonly data: Codecs[Name] extends AttributeCodec<infer Data> ? Data : never
  }
}[ExpressionName]

// enum nft_expr_attributes
const NFTA_EXPR_NAME = 1
const NFTA_EXPR_DATA = 2

/** NFTA_EXPR_*: a name, and attributes that depend on it. Reads expressions of other sorts as undefined. */
export const expressionCodec: AttributeCodec<NftExpression | undefined> = {
  nested: true,
  write(writer, expression) {
    if (expression === undefined) return
    writeAttribute(writer, NFTA_EXPR_NAME, zstring, expression.name)
    writeAttribute(writer, NFTA_EXPR_DATA, codecs[expression.name] as AttributeCodec<unknown>, expression.data)
  },
  read(bytes, start, end) {
    let name: string | undefined
    let data = { from: 0, to: 0 }
    const visit = (type: number, from: number, to: number): void => {
      if (type === NFTA_EXPR_NAME) name = zstring.read(bytes, from, to)
      else if (type === NFTA_EXPR_DATA) data = { from, to }
    }
    walkAttributes(bytes, visit, start, end)
    if (name === undefined) throw new MalformedMessageError('expression without a name', 0)
    if (!Object.hasOwn(codecs, name)) return undefined
    return { name, data: codecs[name as ExpressionName].read(bytes, data.from, data.to) } as NftExpression
  },
}

/** NFT_REG_VERDICT: what is put there becomes of the packet. */
const VERDICT_REGISTER = 0
/** NFT_REG_1: of 16 bytes, as NFT_REG_2 to NFT_REG_4 are. */
const FIRST_WIDE_REGISTER = 1
const SLOTS_OF_WIDE = 4
/** NFT_REG32_00 */
const FIRST_REGISTER = 8
const REGISTERS = 16

/**
 * The register that begins at the given one of the 16 slots of four bytes. Where two begin, it is the
 * wide one, as in what the kernel reports: so rules are read back as they were written.
 */
function register(slot: number): number {
  if (slot < 0 || slot >= REGISTERS) throw new RangeError(`register slot ${slot}`)
  return slot % SLOTS_OF_WIDE === 0 ? FIRST_WIDE_REGISTER + slot / SLOTS_OF_WIDE : FIRST_REGISTER + slot
}

/** enum nft_meta_keys */
const metaKeys = {
  ...{ mark: 3, iif: 4, oif: 5, iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 },
  ...{ iifgroup: 21, oifgroup: 22 },
} as const

/** Loads what the kernel knows of a packet besides its bytes. */
function meta(key: keyof typeof metaKeys, slot = 0): NftExpression {
  return { name: 'meta', data: { key: metaKeys[key], destinationRegister: register(slot) } }
}

/** enum nft_payload_bases, offset and length in bytes. */
const fields = {
  'ip saddr': [1, 12, 4],
  'ip daddr': [1, 16, 4],
  'ip6 saddr': [1, 8, 16],
  'ip6 daddr': [1, 24, 16],
  'icmpv6 type': [2, 0, 1],
  'th sport': [2, 0, 2],
  'th dport': [2, 2, 2],
} as const

/** A field of a packet's headers. */
export type NftField = keyof typeof fields

/** Loads a field of the packet's headers, or the first bytes of it. */
function payload(field: NftField, slot = 0, bytes?: number): NftExpression {
  const [base, offset, length] = fields[field]
  return { name: 'payload', data: { destinationRegister: register(slot), base, offset, length: bytes ?? length } }
}

/** enum nft_payload_csum_types */
const NFT_PAYLOAD_CSUM_INET = 1
/** Where the headers have their checksums. */
const checksumOffsets = { tcp: 16, udp: 6 } as const

/**
 * Writes a port into the packet, and mends its checksum: `udp dport set`. No connection is tracked for it, so the
 * packets that go back need a rule of their own.
 */
function setPort(protocol: keyof typeof checksumOffsets, field: 'th sport' | 'th dport', slot = 0): NftExpression {
  const [base, offset, length] = fields[field]
  const checksum = { checksumType: NFT_PAYLOAD_CSUM_INET, checksumOffset: checksumOffsets[protocol] }
  return { name: 'payload', data: { sourceRegister: register(slot), base, offset, length, ...checksum } }
}

/** enum nft_ct_keys */
const ctKeys = { state: 0, status: 2, mark: 3 } as const

/** Loads what connection tracking knows of the packet's connection. */
function ct(key: keyof typeof ctKeys, slot = 0): NftExpression {
  return { name: 'ct', data: { key: ctKeys[key], destinationRegister: register(slot) } }
}

// enum nft_fib_result, enum nft_fib_flags
const NFT_FIB_RESULT_ADDRTYPE = 3
const fibFlags = { saddr: 1, daddr: 2 } as const

/** Loads of which type (RTN_LOCAL, RTN_UNICAST, …) the routes take an address of the packet to be. */
function fibType(of: keyof typeof fibFlags, slot = 0): NftExpression {
  return {
    name: 'fib',
    data: { destinationRegister: register(slot), result: NFT_FIB_RESULT_ADDRTYPE, flags: fibFlags[of] },
  }
}

/** enum nft_cmp_ops */
const comparisons = { eq: 0, neq: 1, lt: 2, lte: 3, gt: 4, gte: 5 } as const

/** Goes on with the rule only where the comparison holds. */
function cmp(operation: keyof typeof comparisons, value: Uint8Array, slot = 0): NftExpression {
  return {
    name: 'cmp',
    data: { sourceRegister: register(slot), operation: comparisons[operation], data: { value } },
  }
}

/** Keeps the bits of a register that `mask` has. */
function and(mask: Uint8Array, slot = 0): NftExpression {
  return {
    name: 'bitwise',
    data: {
      sourceRegister: register(slot),
      destinationRegister: register(slot),
      length: mask.length,
      mask: { value: mask },
      xor: { value: new Uint8Array(mask.length) },
    },
  }
}

/** Where to look something up, and what to do with what is found. */
export interface LookupOptions {
  /** First slot of the key. @defaultValue 0 */
  readonly from?: number
  /** Takes the verdict that the map has, or puts its data into the slot named. Absent: asks whether it is there. */
  readonly into?: 'verdict' | number
  /** Goes on only where nothing is found. */
  readonly inverted?: boolean
}

// enum nft_lookup_flags
const NFT_LOOKUP_F_INV = 1

/** Goes on with the rule only where the set has the key. */
function lookup(set: string, options: LookupOptions = {}): NftExpression {
  const { from = 0, into, inverted = false } = options
  return {
    name: 'lookup',
    data: {
      set,
      sourceRegister: register(from),
      destinationRegister: into === undefined ? undefined : into === 'verdict' ? VERDICT_REGISTER : register(into),
      flags: inverted ? NFT_LOOKUP_F_INV : undefined,
    },
  }
}

/** enum nft_dynset_ops */
const NFT_DYNSET_OP_UPDATE = 1

/** Adds a key to a set whose elements go after a time, which begins anew where it is there: `update @set`. */
function remember(set: string, from = 0): NftExpression {
  return { name: 'dynset', data: { set, operation: NFT_DYNSET_OP_UPDATE, keyRegister: register(from) } }
}

/** Decides what becomes of the packet. */
function verdict(value: NftVerdict): NftExpression {
  return { name: 'immediate', data: { destinationRegister: VERDICT_REGISTER, data: { verdict: value } } }
}

/** Puts bytes into a register. */
function load(value: Uint8Array, slot = 0): NftExpression {
  return { name: 'immediate', data: { destinationRegister: register(slot), data: { value } } }
}

// enum nft_nat_types; NFPROTO_* of linux/netfilter.h
const natTypes = { snat: 0, dnat: 1 } as const
const natFamilies = { 4: 2, 6: 10 } as const

/** Which registers hold the new address and port, by their slots. */
export interface NatOptions {
  readonly family: 4 | 6
  readonly addressSlot: number
  readonly portSlot?: number
  /** Where ports are a range: its last one. @defaultValue the port of `portSlot` */
  readonly portMaximumSlot?: number
  /** NF_NAT_RANGE_*, linux/netfilter/nf_nat.h; MAP_IPS and PROTO_SPECIFIED are set by the kernel itself. */
  readonly flags?: number
}

/**
 * linux/netfilter/nf_nat.h: the new port is the first of the range plus the old one modulo the range's size. `nft` has
 * no word for it.
 */
export const NF_NAT_RANGE_PROTO_OFFSET = 32

/** Rewrites the source or the destination of a connection. For chains of type nat. */
function nat(type: keyof typeof natTypes, options: NatOptions): NftExpression {
  const { family, addressSlot, portSlot, portMaximumSlot, flags } = options
  return {
    name: 'nat',
    data: {
      type: natTypes[type],
      family: natFamilies[family],
      addressRegister: register(addressSlot),
      portRegister: portSlot === undefined ? undefined : register(portSlot),
      portMaximumRegister: portMaximumSlot === undefined ? undefined : register(portMaximumSlot),
      flags,
    },
  }
}

/** Rewrites the source of a connection to the address of the interface it leaves by. For nat chains of postrouting. */
function masquerade(): NftExpression {
  return { name: 'masq', data: {} }
}

/** Counts packets and bytes that come this far. */
function counter(): NftExpression {
  return { name: 'counter', data: { bytes: 0n, packets: 0n } }
}

// linux/netfilter/xt_devgroup.h: XT_DEVGROUP_MATCH_SRC, XT_DEVGROUP_MATCH_DST
const groupFlags = { iifgroup: 1, oifgroup: 4 } as const
const XT_DEVGROUP_BYTES = 20
const WHOLE_GROUP = 0xffffffff

/**
 * What `meta('iifgroup')` and a comparison ask, as a match of xtables: the one way that `iptables` can read. It refuses
 * to show or change a table with a rule in it that it cannot read.
 */
function xtablesGroup(which: keyof typeof groupFlags, group: number): NftExpression {
  const info = new Uint8Array(XT_DEVGROUP_BYTES)
  const view = new DataView(info.buffer)
  // struct xt_devgroup_info: flags, source group and mask, destination group and mask
  const at = which === 'iifgroup' ? 4 : 12
  view.setUint32(0, groupFlags[which], littleEndian)
  view.setUint32(at, group, littleEndian)
  view.setUint32(at + 4, WHOLE_GROUP, littleEndian)
  return { name: 'match', data: { name: 'devgroup', revision: 0, info } }
}

/** What a register holds for a number of the kernel: 32 bits in the machine's byte order. */
function hostNumber(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, littleEndian)
  return bytes
}

/**
 * Builders of expressions. Registers are named by slots: 16 of four bytes each; an IPv6 address or
 * an interface name takes four of them.
 */
export const nftExpression = {
  meta,
  payload,
  setPort,
  ct,
  fibType,
  cmp,
  and,
  lookup,
  remember,
  verdict,
  load,
  nat,
  masquerade,
  counter,
  xtablesGroup,
  hostNumber,
} as const
