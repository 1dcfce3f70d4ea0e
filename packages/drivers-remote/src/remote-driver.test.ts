import { describeNetworkDriver } from '@net/driverapi/testing'
import { remoteDriver } from './remote-driver.ts'

describeNetworkDriver('remote', () => ({
  driver: remoteDriver({ name: 'test' }),
  networkOptions: [{}, { 'com.example.vlan': '7' }],
  publishes: false,
}))
