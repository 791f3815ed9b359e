package forest

import "math"

// The logarithm and the exponential in float32 are those of glibc, to the last bit, because XGBoost calls them: neither is
// correctly rounded. Both follow the published algorithm of Arm's optimized-routines, which glibc took over, with their
// tables and polynomials (docs/dependencies.md has the notice): calculated in float64, where it makes no difference
// whether a processor fuses products with sums.

// logPoint is a point of the logarithm's table: 1/c and log(c) of a c in the middle of a sixteenth of [0.7, 1.4).
type logPoint struct{ inverse, log float64 }

// logTable is read only; an array in the function would be copied at each call.
var logTable = [16]logPoint{
	{0x1.661ec79f8f3bep+0, -0x1.57bf7808caadep-2},
	{0x1.571ed4aaf883dp+0, -0x1.2bef0a7c06ddbp-2},
	{0x1.49539f0f010bp+0, -0x1.01eae7f513a67p-2},
	{0x1.3c995b0b80385p+0, -0x1.b31d8a68224e9p-3},
	{0x1.30d190c8864a5p+0, -0x1.6574f0ac07758p-3},
	{0x1.25e227b0b8eap+0, -0x1.1aa2bc79c81p-3},
	{0x1.1bb4a4a1a343fp+0, -0x1.a4e76ce8c0e5ep-4},
	{0x1.12358f08ae5bap+0, -0x1.1973c5a611cccp-4},
	{0x1.0953f419900a7p+0, -0x1.252f438e10c1ep-5},
	{0x1p+0, 0x0p+0},
	{0x1.e608cfd9a47acp-1, 0x1.aa5aa5df25984p-5},
	{0x1.ca4b31f026aap-1, 0x1.c5e53aa362eb4p-4},
	{0x1.b2036576afce6p-1, 0x1.526e57720db08p-3},
	{0x1.9c2d163a1aa2dp-1, 0x1.bc2860d22477p-3},
	{0x1.886e6037841edp-1, 0x1.1058bc8a07ee1p-2},
	{0x1.767dcf5534862p-1, 0x1.4043057b6ee09p-2},
}

// log32 is the natural logarithm of x, with glibc's bits.
func log32(x float32) float32 {
	const ln2, infinity = 0x1.62e42fefa39efp-1, 0x7f800000
	b := math.Float32bits(x)
	switch {
	case b == infinity:
		return x
	case b<<1 == 0:
		return float32(math.Inf(-1))
	case b > infinity: // NaN or negative
		return float32(math.NaN())
	case b < 0x00800000: // a denormal number
		b = math.Float32bits(x*(1<<23)) - 23<<23
	}
	// x is 2^exponent times z, and z is close to the c of its point.
	const sixteenths, mantissa = 4, 23
	above := b - 0x3f330000 // 0.7, where the table begins
	point := &logTable[above>>(mantissa-sixteenths)%(1<<sixteenths)]
	exponent := int32(above) >> mantissa
	z := float64(math.Float32frombits(b - above&0xff800000))

	r := float64(z*point.inverse) - 1
	r2 := float64(r * r)
	y := float64(0x1.5575b0be00b6ap-2*r) - 0x1.ffffef20a4123p-2
	y += float64(-0x1.00ea348b88334p-2 * r2)
	return float32(float64(y*r2) + (point.log + float64(float64(exponent)*ln2) + r))
}
