package forest

import "math"

// expTable holds the bits of 2^(i/32), less i times the 32nd of an exponent's unit. It is read only.
var expTable = [32]uint64{
	0x3ff0000000000000, 0x3fefd9b0d3158574, 0x3fefb5586cf9890f, 0x3fef9301d0125b51,
	0x3fef72b83c7d517b, 0x3fef54873168b9aa, 0x3fef387a6e756238, 0x3fef1e9df51fdee1,
	0x3fef06fe0a31b715, 0x3feef1a7373aa9cb, 0x3feedea64c123422, 0x3feece086061892d,
	0x3feebfdad5362a27, 0x3feeb42b569d4f82, 0x3feeab07dd485429, 0x3feea47eb03a5585,
	0x3feea09e667f3bcd, 0x3fee9f75e8ec5f74, 0x3feea11473eb0187, 0x3feea589994cce13,
	0x3feeace5422aa0db, 0x3feeb737b0cdc5e5, 0x3feec49182a3f090, 0x3feed503b23e255d,
	0x3feee89f995ad3ad, 0x3feeff76f2fb5e47, 0x3fef199bdd85529c, 0x3fef3720dcef9069,
	0x3fef5818dcfba487, 0x3fef7c97337b9b5f, 0x3fefa4afa2a490da, 0x3fefd0765b6e4540,
}

// exp32 is e to the power of x, with glibc's bits: see the logarithm.
func exp32(x float32) float32 {
	const parts = 32
	const (
		perLn2  = 0x1.71547652b82fep+0 * parts
		toWhole = 0x1.8p52 // added, it leaves a whole number in the lowest bits
	)
	switch {
	case x != x:
		return x
	case x > 0x1.62e42ep6: // log(2^128)
		return float32(math.Inf(1))
	case x < -0x1.9fe368p6: // log(2^-150)
		return 0
	}
	z := float64(perLn2 * float64(x))
	whole := z + toWhole
	k := math.Float64bits(whole)
	r := z - (whole - toWhole) // x is (k + r) ln2/32
	scale := math.Float64frombits(expTable[k%parts] + k<<47)

	r2 := float64(r * r)
	y := float64(0x1.62e42ff0c52d6p-1/parts*r) + 1
	high := float64(0x1.c6af84b912394p-5/parts/parts/parts*r) + 0x1.ebfce50fac4f3p-3/parts/parts
	return float32((float64(high*r2) + y) * scale)
}
