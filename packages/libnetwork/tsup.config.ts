import { packageConfig } from '../../tsup.base.ts'

export default packageConfig({ index: 'src/index.ts', 'net-setkey': 'src/net-setkey.ts' })
