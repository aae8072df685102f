export { intt, ntt, twiddles } from './ntt';
export {
  add, combine, firstDifference, firstUnreduced, fromSigned, maskTo, mul, mulAcc, scale, sub, uniform,
} from './pointwise';
export { addFraction, divideAndRound, roundFraction } from './rescale';
export { constantCoefficient, dot } from './dot';
export { smallAdd, smallFinish, wideAdd, wideCarry, wideFinish } from './sum';
export { cbd21, ternary } from './sample';
