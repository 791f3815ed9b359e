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

// appendSpoken appends x for a sentence: two decimals, or three digits below 1.
func appendSpoken(dst []byte, x float64) []byte {
	if math.Abs(x) < 1 {
		return strconv.AppendFloat(dst, x+0, 'g', 3, 64)
	}
	return appendRounded(dst, x, 2)
}

// decimalScale is 10 to the power of up to four decimals.
func decimalScale(decimals int) uint64 {
	return [...]uint64{1, 10, 100, 1000, 10000}[decimals]
}

// appendRounded appends x rounded to up to four decimals, without zeros at the end.
func appendRounded(dst []byte, x float64, decimals int) []byte {
	scale := decimalScale(decimals)
	scaled := math.Round(x * float64(scale))
	if !(math.Abs(scaled) < 1e15) {
		return appendNumber(dst, x)
	}
	if scaled < 0 {
		dst, scaled = append(dst, '-'), -scaled
	}
	dst = strconv.AppendUint(dst, uint64(scaled)/scale, 10)
	rest := uint64(scaled) % scale
	if rest == 0 {
		return dst
	}
	dst = append(dst, ".0000"[:decimals+1]...)
	for at := len(dst) - 1; rest > 0; at-- {
		dst[at] = byte('0' + rest%10)
		rest /= 10
	}
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}
