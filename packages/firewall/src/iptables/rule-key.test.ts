import { describe, expect, it } from 'vitest'
import { ruleKey } from './rule-key.ts'

describe('a rule is known again', () => {
  it.each([
    ['-i br0 -d 127.0.0.0/8 -j DROP', '-d 127.0.0.0/8 -i br0 -j DROP'],
    [
      '-s 10.0.0.3 -d 10.0.0.2 -p tcp --dport 53 -j ACCEPT',
      '-s 10.0.0.3/32 -d 10.0.0.2/32 -p tcp -m tcp --dport 53 -j ACCEPT',
    ],
    ['-d fd00::2 -p udp --dport 1:2 -j ACCEPT', '-d fd00::2/128 -p udp -m udp --dport 1:2 -j ACCEPT'],
    ['-s fd00::/64 ! -o br0 -j MASQUERADE', '-s fd00::/64 ! -o br0 -j MASQUERADE'],
    ['-p icmpv6 --icmpv6-type neighbour-solicitation -j ACCEPT', '-p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT'],
  ])('%s as iptables-save has it: %s', (ours, saved) => {
    expect(ruleKey(saved)).toBe(ruleKey(ours))
  })

  it.each([
    ['-i br0 -j DROP', '-o br0 -j DROP'],
    ['-i br0 -j DROP', '! -i br0 -j DROP'],
    ['-j NET-IN', '-g NET-IN'],
    ['-d 10.0.0.2 -j DROP', '-d 10.0.0.0/24 -j DROP'],
    ['-i br0 -j DROP', '-i br0 -m conntrack --ctstate DNAT -j DROP'],
  ])('%s is not %s', (one, other) => {
    expect(ruleKey(one)).not.toBe(ruleKey(other))
  })
})
