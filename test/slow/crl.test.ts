/** As test/fault/crl.test.ts, as many as made step-ca use 847 numbers twice. */
import { provesTwoPublishers } from '../support/fault/two-publishers.ts';

provesTwoPublishers('1,800 revocations at once through two publishers: numbers unique, each list contains what an earlier one did', 1_800);
