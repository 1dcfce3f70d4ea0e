/** Spellings that `iptables-save` has for what we write otherwise. linux/icmpv6.h, RFC 4861, 4.3 and 4.4 */
const spellings: Readonly<Record<string, string>> = {
  icmpv6: 'ipv6-icmp',
  'neighbour-solicitation': '135',
  'neighbour-advertisement': '136',
}

/** Matches that follow from the protocol: `iptables-save` names them, we do not. */
const IMPLIED = /^-m (tcp|udp|sctp|icmp6?)$/

/** What a rule is known again by, whether we wrote it or `iptables-save` did: what it says, in an order of its own. */
export function ruleKey(rule: string): string {
  const parts: string[] = []
  let isNegated = false
  for (const word of rule.split(' ')) {
    if (word === '!') isNegated = true
    else if (word.startsWith('-') || parts.length === 0) {
      parts.push(isNegated ? `! ${word}` : word)
      isNegated = false
    } else parts.push(`${parts.pop() ?? ''} ${plainWord(word)}`)
  }
  return parts
    .filter((part) => !IMPLIED.test(part))
    .sort()
    .join(' ')
}

function plainWord(word: string): string {
  return spellings[word] ?? word.replace(/^([0-9.]+)\/32$|^([0-9a-f:]+)\/128$/, '$1$2')
}
