/** Who has no rights of his own. */
const NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'] as const

/** Where he sees what is shown to him: a folder that every machine has. FHS 3.0, section 3.12. */
const SHOWN = '/mnt'

/** How to run something as an ordinary user. */
export interface OrdinaryUser {
  /** What a command line of his begins with. */
  readonly command: readonly [string, ...string[]]
  /** Node, and the folder that is shown to him, as he finds them. */
  readonly node: string
  readonly tree: string
}

/**
 * An ordinary user's rights, for a program that root starts. He need not be able to read the folder, nor Node's: both
 * are shown to him elsewhere, in a mount namespace that ends with his program.
 */
export function ordinaryUser(tree: string): OrdinaryUser {
  const show = [
    `mount -t tmpfs none ${SHOWN} && mkdir ${SHOWN}/tree && touch ${SHOWN}/node`,
    `mount --bind "$0" ${SHOWN}/tree && mount --bind "$1" ${SHOWN}/node`,
    // Nor need he be able to read the folder that root is in.
    `cd ${SHOWN}/tree && shift && exec "$@"`,
  ].join(' && ')
  const command = ['unshare', '--mount', 'sh', '-c', show, tree, process.execPath, ...NOBODY] as const
  return { command, node: `${SHOWN}/node`, tree: `${SHOWN}/tree` }
}
