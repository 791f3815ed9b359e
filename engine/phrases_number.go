package engine

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strconv"
)

// significantDigits is the number of decimal digits that survive a conversion to float64 and back: 29.85 stays 29.85.
const significantDigits = 15

// appendNumber appends x as a JSON number; NaN and infinities become null.
func appendNumber(dst []byte, x float64) []byte {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return append(dst, "null"...)
	case math.Abs(x) < 1e15 && float64(int64(x)) == x:
		return appendScaled(dst, int64(x), 0)
	}
	if hundredths := roundHalfAway(float64(x * 100)); math.Abs(hundredths) < 1e15 && hundredths/100 == x {
		return appendScaled(dst, int64(hundredths), 2) // most amounts: two decimals are exact
	}
	return strconv.AppendFloat(dst, x, 'g', significantDigits, 64)
}

// appendReadable appends x for a sentence: two decimals, or three significant digits below 1.
func appendReadable(dst []byte, x float64) []byte {
	if math.Abs(x) < 1 {
		if hundredths := roundToInt(float64(x * 100)); float64(hundredths)/100 == x {
			return appendScaled(dst, hundredths, 2)
		}
		return strconv.AppendFloat(dst, x+0, 'g', 3, 64)
	}
	return appendRounded(dst, x, 2)
}

// decimalScale returns 10 to the power of decimals, which is 4 at most.
func decimalScale(decimals int) uint64 {
	return [...]uint64{1, 10, 100, 1000, 10000}[decimals]
}

// appendRounded appends x rounded to decimals places, 4 at most, without trailing zeros.
func appendRounded(dst []byte, x float64, decimals int) []byte {
	scaled := float64(x * float64(decimalScale(decimals)))
	if !(math.Abs(scaled) < 1e15-1) {
		return appendNumber(dst, x)
	}
	return appendScaled(dst, roundToInt(scaled), decimals)
}

// roundHalfAway is math.Round, several times faster. From 2^52 on all floats are integers and are returned as they are.
func roundHalfAway(x float64) float64 {
	if !(math.Abs(x) < 1<<52) {
		return x
	}
	return float64(roundToInt(x))
}

// roundToInt is math.Round for numbers below 2^52, as an integer. It has no branches, as the fraction is unpredictable. A
// product must come converted, so that it is not fused with the difference.
func roundToInt(x float64) int64 {
	whole := int64(x)
	rest := x - float64(whole) // exact, as is its double
	return whole + int64(rest+rest)
}

// appendScaled appends n/10^decimals without trailing zeros; decimals is 4 at most and |n| 1e15 at most. It writes all
// digits at once and then truncates, as signs and lengths are unpredictable for branches.
func appendScaled(dst []byte, n int64, decimals int) []byte {
	sign := uint64(n >> 63)
	u := (uint64(n) ^ sign - sign) * decimalScale(4-decimals) // the compiler turns divisions by constants into multiplications
	whole := u / 10000
	decimal := fourDigits(u - whole*10000)
	dst = slices.Grow(dst, numberBytesMax)
	at := len(dst)
	b := (*[numberBytesMax]byte)(dst[at:][:numberBytesMax])
	b[0] = '-'
	end := int(-sign) & 7
	if whole < 10000 {
		digits := fourDigits(whole)
		zeros := bits.TrailingZeros32(digits|1<<24) &^ 7 // leading zeros in bits; the last digit stays
		binary.LittleEndian.PutUint32(b[end:], (digits|zeroDigits)>>zeros)
		end += 4 - zeros/8
	} else {
		end = len(strconv.AppendUint(b[:end], whole, 10))
	}
	binary.LittleEndian.PutUint64(b[end:], '.'|uint64(decimal|zeroDigits)<<8)
	digits := (bits.Len32(decimal) + 7) / 8
	return dst[:at+end+digits+(digits+3)/4] // the point counts only if there is a digit
}

// zeroDigits is the ASCII text 0000.
const zeroDigits = '0' | '0'<<8 | '0'<<16 | '0'<<24

// fourDigits returns the four digits of a number below 10,000, one per byte, the first one in the lowest byte.
func fourDigits(n uint64) uint32 {
	pair := uint32(n * 5243 >> 19) // n / 100
	pairs := pair | (uint32(n)-100*pair)<<16
	tens := pairs * 103 >> 10 & 0x000f000f // pairs / 10
	return tens | (pairs-10*tens)<<8
}
