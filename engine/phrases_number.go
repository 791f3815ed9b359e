package engine

import (
	"math"
	"strconv"
)

// significantDigits is what a decimal survives a trip through float64 with: 29.85 stays 29.85.
const significantDigits = 15

// appendNumber appends x as JSON and people write it; what is not finite becomes null.
func appendNumber(dst []byte, x float64) []byte {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return append(dst, "null"...)
	case x == math.Trunc(x) && math.Abs(x) < 1e15:
		return strconv.AppendInt(dst, int64(x), 10)
	}
	return strconv.AppendFloat(dst, x, 'g', significantDigits, 64)
}

// appendRounded appends x rounded to a few decimals, without zeros at the end.
func appendRounded(dst []byte, x float64, decimals int) []byte {
	scale := 1.0
	for range decimals {
		scale *= 10
	}
	scaled := math.Round(x * scale)
	if !(math.Abs(scaled) < 1e15) {
		return appendNumber(dst, x)
	}
	if scaled < 0 {
		dst, scaled = append(dst, '-'), -scaled
	}
	whole, rest := uint64(scaled)/uint64(scale), uint64(scaled)%uint64(scale)
	dst = strconv.AppendUint(dst, whole, 10)
	if rest == 0 {
		return dst
	}
	dst = append(dst, '.')
	for unit := uint64(scale) / 10; rest > 0; unit /= 10 {
		dst = append(dst, byte('0'+rest/unit))
		rest %= unit
	}
	return dst
}
