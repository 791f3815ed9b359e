package engine

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strconv"
)

// significantDigits is what a decimal survives a trip through float64 with: 29.85 stays 29.85.
const significantDigits = 15

// appendNumber appends x as JSON and people write it; what is not finite becomes null.
func appendNumber(dst []byte, x float64) []byte {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return append(dst, "null"...)
	case math.Abs(x) < 1e15 && float64(int64(x)) == x:
		return appendScaled(dst, int64(x), 0)
	}
	if hundredths := roundHalfAway(float64(x * 100)); math.Abs(hundredths) < 1e15 && hundredths/100 == x {
		return appendScaled(dst, int64(hundredths), 2) // most amounts: the 15 digits are known
	}
	return strconv.AppendFloat(dst, x, 'g', significantDigits, 64)
}

// appendSpoken appends x for a sentence: two decimals, or three digits below 1.
func appendSpoken(dst []byte, x float64) []byte {
	if math.Abs(x) < 1 {
		if hundredths := nearest(float64(x * 100)); float64(hundredths)/100 == x {
			return appendScaled(dst, hundredths, 2)
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
	scaled := float64(x * float64(decimalScale(decimals)))
	if !(math.Abs(scaled) < 1e15-1) {
		return appendNumber(dst, x)
	}
	return appendScaled(dst, nearest(scaled), decimals)
}

// roundHalfAway is math.Round where it makes a difference, below 2^52; the rest is integers, NaN and infinities. It is
// several times faster.
func roundHalfAway(x float64) float64 {
	if !(math.Abs(x) < 1<<52) {
		return x
	}
	return float64(nearest(x))
}

// nearest is roundHalfAway as an integer, below 2^52. It does not branch: what is behind the point is hard to guess. A
// product must come converted, so that it is not fused with the difference.
func nearest(x float64) int64 {
	whole := int64(x)
	rest := x - float64(whole) // exact, and so is twice of it
	return whole + int64(rest+rest)
}

// appendScaled appends n units of the last decimal, of which there are up to four, without zeros at the end; |n| is up to
// 1e15. It writes all digits at once and takes back what is too much: signs and lengths are hard to guess for a processor.
func appendScaled(dst []byte, n int64, decimals int) []byte {
	sign := uint64(n >> 63)
	u := (uint64(n) ^ sign - sign) * decimalScale(4-decimals) // divisions by constants are multiplications
	whole := u / 10000
	decimal := fourDigits(u - whole*10000)
	dst = slices.Grow(dst, numberRoom)
	at := len(dst)
	b := (*[numberRoom]byte)(dst[at:][:numberRoom])
	b[0] = '-'
	end := int(-sign) & 7
	if whole < 10000 {
		digits := fourDigits(whole)
		zeros := bits.TrailingZeros32(digits|1<<24) &^ 7 // at the front; the last digit stays
		binary.LittleEndian.PutUint32(b[end:], (digits|zeroDigits)>>zeros)
		end += 4 - zeros/8
	} else {
		end = len(strconv.AppendUint(b[:end], whole, 10))
	}
	binary.LittleEndian.PutUint64(b[end:], '.'|uint64(decimal|zeroDigits)<<8)
	digits := (bits.Len32(decimal) + 7) / 8
	return dst[:at+end+digits+(digits+3)/4] // and the point, if there is a digit
}

// zeroDigits are four of them.
const zeroDigits = '0' | '0'<<8 | '0'<<16 | '0'<<24

// fourDigits has the digits of a number below 10,000 in its bytes, the first one in the lowest.
func fourDigits(n uint64) uint32 {
	pair := uint32(n * 5243 >> 19) // n / 100
	pairs := pair | (uint32(n)-100*pair)<<16
	tens := pairs * 103 >> 10 & 0x000f000f // pairs / 10
	return tens | (pairs-10*tens)<<8
}
