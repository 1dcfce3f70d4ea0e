import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate authority made up for a test, in files. */
export interface Authority extends Disposable {
  /** Path and text of its own certificate. */
  readonly path: string
  readonly pem: string
  /** Vouches for a name. */
  issue(name: string): Certificate
}

/** A certificate with its key: where they lie, and their texts. */
export interface Certificate {
  readonly paths: { readonly cert: string; readonly key: string }
  readonly cert: string
  readonly key: string
}

/** Makes an authority in a folder of its own, which goes with it. */
export function createAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'net-etcd-certificates-'))
  const file = (name: string): string => join(folder, name)
  const own = { cert: file('ca.pem'), key: file('ca.key') }
  openssl('req', '-x509', '-days', '1', '-subj', '/CN=authority', ...newKey(own.key), '-out', own.cert)
  return {
    path: own.cert,
    pem: readFileSync(own.cert, 'utf8'),
    issue(name) {
      const paths = { cert: file(`${name}.pem`), key: file(`${name}.key`) }
      writeFileSync(file('names'), `subjectAltName=DNS:${name}\nextendedKeyUsage=serverAuth,clientAuth\n`)
      openssl('req', '-subj', `/CN=${name}`, ...newKey(paths.key), '-out', file('request'))
      const signer = ['-CA', own.cert, '-CAkey', own.key, '-CAcreateserial', '-days', '1', '-extfile', file('names')]
      openssl('x509', '-req', '-in', file('request'), ...signer, '-out', paths.cert)
      return { paths, cert: readFileSync(paths.cert, 'utf8'), key: readFileSync(paths.key, 'utf8') }
    },
    [Symbol.dispose]() {
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function newKey(path: string): string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', path]
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
