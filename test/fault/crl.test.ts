/** Two processes publish the same list: no number twice, and nothing that a list has said is unsaid by a later one (DESIGN invariant 6). */
import { provesTwoPublishers } from '../support/fault/two-publishers.ts';

provesTwoPublishers('500 revocations at once through two publishers: numbers unique, each list contains what an earlier one did', 500);
