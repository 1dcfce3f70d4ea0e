/** Why `unshare` did not make the namespaces of a host. */
export interface Refusal {
  /** The program is not there. */
  readonly missing: boolean
  /** What it said. */
  readonly message: string
}

/** Settings that forbid user namespaces, the values that do, and what to do about them. */
const settings = [
  ['kernel/unprivileged_userns_clone', '0', 'sysctl -w kernel.unprivileged_userns_clone=1'],
  ['user/max_user_namespaces', '0', 'sysctl -w user.max_user_namespaces=10000'],
  ['kernel/apparmor_restrict_unprivileged_userns', '1', 'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0'],
] as const

/** Says what is in the way, and what to do. @param readSetting of `/proc/sys`, undefined where there is none */
export function explainRefusal(refusal: Refusal, readSetting: (path: string) => string | undefined): string {
  if (refusal.missing) return 'the program "unshare" is missing: install util-linux'
  const culprit = settings.find(([path, value]) => readSetting(path) === value)
  if (culprit !== undefined) {
    const [path, value, remedy] = culprit
    return `user namespaces are off (/proc/sys/${path} is ${value}): run the demo as root, or as root: ${remedy}`
  }
  return (
    `cannot make namespaces (${refusal.message}): run the demo as root or, in a container, ` +
    'with the capability CAP_SYS_ADMIN and without a seccomp filter that forbids unshare'
  )
}
