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
		return appendScaled(dst, int64(x), 0)
	}
	if hundredths := roundHalfAway(x * 100); math.Abs(hundredths) < 1e15 && hundredths/100 == x {
		return appendScaled(dst, int64(hundredths), 2) // most amounts: the 15 digits are known
	}
	return strconv.AppendFloat(dst, x, 'g', significantDigits, 64)
}

// appendSpoken appends x for a sentence: two decimals, or three digits below 1.
func appendSpoken(dst []byte, x float64) []byte {
	if math.Abs(x) < 1 {
		if hundredths := roundHalfAway(x * 100); hundredths/100 == x {
			return appendScaled(dst, int64(hundredths), 2)
		}
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
	scaled := roundHalfAway(x * float64(decimalScale(decimals)))
	if !(math.Abs(scaled) < 1e15) {
		return appendNumber(dst, x)
	}
	return appendScaled(dst, int64(scaled), decimals)
}

// roundHalfAway is math.Round where it makes a difference, below 2^52; the rest is integers, NaN and infinities. It is
// several times faster.
func roundHalfAway(x float64) float64 {
	if !(math.Abs(x) < 1<<52) {
		return x
	}
	whole := float64(int64(x))
	switch rest := x - whole; { // exact
	case rest >= 0.5:
		return whole + 1
	case rest <= -0.5:
		return whole - 1
	}
	return whole
}

// appendScaled appends n units of the last decimal, without zeros at the end.
func appendScaled(dst []byte, n int64, decimals int) []byte {
	u := uint64(n)
	if n < 0 {
		dst, u = append(dst, '-'), -u
	}
	scale := decimalScale(decimals)
	whole := u / scale
	dst = strconv.AppendUint(dst, whole, 10)
	rest := (u - whole*scale) * (10000 / scale) // as four decimals
	if rest == 0 {
		return dst
	}
	high, low := rest/100, rest%100
	dst = append(dst, '.', byte('0'+high/10), byte('0'+high%10), byte('0'+low/10), byte('0'+low%10))
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}
