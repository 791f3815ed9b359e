package kernels

import "math/bits"

// Plain decimals: digits with at most one dot, perhaps a minus, sixteen characters in all and fifteen digits that
// matter. They are exact, because digits and power of ten are exact in float64 and one division rounds once. All else
// is left over.

// decimalDigitsMax bounds the digits as a number: beyond, whole numbers may lose precision, which is worth a remark.
const decimalDigitsMax = 1_000_000_000_000_000

// tenTo are powers of ten that float64 has exactly.
var tenTo = [16]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

func numbersPortable(f Fields, values []float64, low, high float64, over Left) {
	clear(over)
	for row := range f.Rows {
		start, end := f.Bare(row)
		value, ok := 0.0, false
		if end >= 16 {
			value, ok = decimalWords(f.Text, start, end)
		} else {
			value, ok = decimalBytes(f.Text[start:end])
		}
		values[row] = value
		if !ok || value < low || value > high {
			over.Add(row)
		}
	}
}

// decimalWords reads the decimal from start to end, of which eight bytes at a time are looked at; end is at least 16.
func decimalWords(text []byte, start, end uint32) (float64, bool) {
	negative := text[start] == '-'
	if end-start > 16 {
		return 0, false
	}
	if negative {
		start++
	}
	size := end - start
	var digits, fraction uint64
	var ok bool
	switch {
	case size-1 < 8:
		digits, fraction, ok = decimal8(wordAt(text, end-8), size)
	case size > 8:
		digits, fraction, ok = decimal16(wordAt(text, end-16), wordAt(text, end-8), size)
	}
	value := float64(digits)
	if fraction != 0 {
		value /= tenTo[fraction&15]
	}
	if negative {
		value = -value
	}
	return value, ok
}

// decimal8 reads the last size bytes of a word, 1 to 8.
func decimal8(word uint64, size uint32) (digits, fraction uint64, ok bool) {
	shift := 64 - 8*size
	y := (word ^ '0'*ones) >> shift << shift
	if dot := firstDot(y); dot != 0 {
		if size == 1 {
			return 0, 0, false
		}
		y, fraction = closeGap(y, dot), dotPlaces(dot)
	}
	return eightDigits(y), fraction, allDigits(y)
}

// decimal16 reads the last size bytes of two words, 9 to 16.
func decimal16(upper, lower uint64, size uint32) (digits, fraction uint64, ok bool) {
	shift := 128 - 8*size
	upper = (upper ^ '0'*ones) >> shift << shift
	lower ^= '0' * ones
	dotUpper, dotLower := firstDot(upper), firstDot(lower)
	switch {
	case dotUpper != 0 && dotLower != 0:
		return 0, 0, false
	case dotUpper != 0:
		upper, fraction = closeGap(upper, dotUpper), 8+dotPlaces(dotUpper)
	case dotLower != 0:
		lower, fraction = closeGap(lower, dotLower)|upper>>56, dotPlaces(dotLower)
		upper <<= 8
	}
	digits = eightDigits(upper)*100_000_000 + eightDigits(lower)
	return digits, fraction, allDigits(upper) && allDigits(lower) && digits < decimalDigitsMax
}

// firstDot is the lowest bit of the first byte that is a dot, in a word of characters less '0'. The test with a
// subtraction is right up to the first hit.
func firstDot(y uint64) uint64 {
	x := y ^ ('0'^'.')*ones
	hit := (x - ones) &^ x & highBits
	return hit & -hit >> 7
}

// dotPlaces counts the digits behind a dot.
func dotPlaces(dot uint64) uint64 {
	return uint64(bits.LeadingZeros64(dot)) / 8
}

// closeGap moves what is before a dot one byte up, over it.
func closeGap(y, dot uint64) uint64 {
	return y&(dot-1)<<8 | y&^(dot<<8-1)
}

// allDigits says whether every byte is at most nine. A second dot is not.
func allDigits(y uint64) bool {
	return ((y+0x76*ones)|y)&highBits == 0
}

// eightDigits makes a number of eight digits, the first lowest.
func eightDigits(y uint64) uint64 {
	y = y*10 + y>>8
	return (y&0x000000ff000000ff*0x000f424000000064 + y>>16&0x000000ff000000ff*0x0000271000000001) >> 32
}

// decimalBytes reads a decimal at the very front of a chunk, where the words would reach too far.
func decimalBytes(text []byte) (float64, bool) {
	var padded [32]byte
	end := uint32(16 + copy(padded[16:], text))
	if len(text) == 0 {
		return 0, false
	}
	return decimalWords(padded[:], 16, end)
}
