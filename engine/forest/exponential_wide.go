package forest

import "math"

// exp64 is e to the power of x, with the bits of glibc on processors that fuse products with sums, as all of today's do:
// [math.FMA] does so everywhere. LightGBM takes its probabilities from it.
func exp64(x float64) float64 {
	const parts = 128
	const (
		perLn2          = 0x1.71547652b82fep0 * parts
		ln2High, ln2Low = -0x1.62e42fefa0000p-8, -0x1.cf79abc9e3b3ap-47 // of -ln2/128
		toWhole         = 0x1.8p52
	)
	size := math.Abs(x)
	switch {
	case x != x:
		return x
	case size < 0x1p-54:
		return 1 + x
	case x >= 1024:
		return math.Inf(1)
	case x <= -1024:
		return 0
	}
	whole := math.FMA(perLn2, x, toWhole)
	k := math.Float64bits(whole)
	whole -= toWhole
	r := math.FMA(whole, ln2Low, math.FMA(whole, ln2High, x)) // x is whole ln2/128 + r
	point := &expTable64[k%parts]

	r2 := float64(r * r)
	low := math.FMA(r2, math.FMA(r, 0x1.555555555543cp-3, 0x1.ffffffffffdbdp-2), math.Float64frombits(point.tail)+r)
	above := math.FMA(float64(r2*r2), math.FMA(r, 0x1.1111167a4d017p-7, 0x1.55555cf172b91p-5), low)
	scale := point.scale + k<<45
	if size >= 512 {
		return scaleFar(above, scale, x > 0)
	}
	return math.FMA(math.Float64frombits(scale), above, math.Float64frombits(scale))
}

// scaleFar returns scale*(1+above) where the exponent in the bits of scale may be out of range.
func scaleFar(above float64, scale uint64, large bool) float64 {
	if large {
		s := math.Float64frombits(scale - 1009<<52)
		return 0x1p1009 * math.FMA(s, above, s)
	}
	s := math.Float64frombits(scale + 1022<<52)
	y := math.FMA(s, above, s)
	if y < 1 { // rounded to the places of a denormal number first, so that it is rounded once
		low := math.FMA(s, above, s-y)
		high := 1 + y
		low = 1 - high + y + low
		y = high + low - 1
	}
	return 0x1p-1022 * y
}
