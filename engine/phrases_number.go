package engine

import (
	"encoding/binary"
	"math"
	"math/bits"
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

// appendScaled appends n units of the last decimal, of which there are up to four, without zeros at the end; |n| is up to
// 1e15.
func appendScaled(dst []byte, n int64, decimals int) []byte {
	u := uint64(n)
	if n < 0 {
		dst, u = append(dst, '-'), -u
	}
	u *= decimalScale(4 - decimals) // divisions by constants are multiplications
	whole := u / 10000
	if whole < 10 {
		dst = append(dst, byte('0'+whole))
	} else {
		dst = strconv.AppendUint(dst, whole, 10)
	}
	rest := u - whole*10000
	return appendDecimals(dst, rest/100, rest%100)
}

// appendDecimals appends four decimals, given by twos, without zeros at the end. It writes all at once and takes the
// zeros back: how many there are is hard to guess for a processor.
func appendDecimals(dst []byte, high, low uint64) []byte {
	digits := '.' + (high/10+'0')<<8 + (high%10+'0')<<16 + (low/10+'0')<<24 + (low%10+'0')<<32
	zeros := bits.LeadingZeros64(digits^zeroDecimals) / 8 // bytes at the end that equal those of no decimals
	return binary.LittleEndian.AppendUint64(dst, digits)[:len(dst)+8-zeros]
}

// zeroDecimals is what no decimals look like, up to the point, which goes with the last of them.
const zeroDecimals = '0'<<8 | '0'<<16 | '0'<<24 | '0'<<32 | '.'
