"""Powers of two in place of exponentials: 2^(x log2 e) is several times faster than e^x on a CPU."""

import math

LOG2_E = math.log2(math.e)
# Powers of two up to this may be summed over any catalogue, and divided by the sum, without shifting them first.
SAFE_POWER = 60.0
