package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// fieldOf lays cells out as one field of rows among others, behind some text or at the very front of a chunk.
func fieldOf(cells []string, front int, width int, last bool) Fields {
	var text strings.Builder
	text.WriteString(strings.Repeat("x", front))
	at := []uint32{uint32(front) - 1}
	var ends []uint32
	for _, cell := range cells {
		text.WriteString(cell)
		if last {
			ends = append(ends, uint32(text.Len()))
			text.WriteString("\r")
		}
		at = append(at, uint32(text.Len()))
		text.WriteString(",")
		for range width - 1 {
			at = append(at, uint32(text.Len()+2))
			text.WriteString("7\",")
		}
	}
	padded := append([]byte(text.String()), strings.Repeat("9", Slack)...)
	f := Fields{Text: padded, At: at, Stride: width, Rows: len(cells)}
	if last {
		f.Ends = ends
	}
	return f
}

// everyLayout calls do with cells in all numbers around the widths of a kernel, at all kinds of places.
func everyLayout(random *rand.Rand, cell func() string, do func(cells []string, f Fields)) {
	for rows := range 20 {
		for _, front := range []int{0, 1, 7, 15, 16, 17, 40} {
			cells := make([]string, rows+1)
			for i := range cells {
				cells[i] = cell()
			}
			do(cells, fieldOf(cells, front, 1+random.IntN(4), random.IntN(2) == 0))
		}
	}
}

// randomNumber is a decimal, or nearly one.
func randomNumber(random *rand.Rand) string {
	var b strings.Builder
	if random.IntN(4) == 0 {
		b.WriteByte('-')
	}
	for range random.IntN(random.IntN(19) + 1) {
		b.WriteByte("0123456789"[random.IntN(10)])
	}
	if random.IntN(2) == 0 {
		b.WriteByte('.')
		for range random.IntN(9) {
			b.WriteByte("0123456789"[random.IntN(10)])
		}
	}
	text := []byte(b.String())
	if len(text) > 0 && random.IntN(6) == 0 {
		text[random.IntN(len(text))] = "-+.eE /:x\x00\xb0\xffaA_,"[random.IntN(16)]
	}
	switch random.IntN(12) {
	case 0, 1:
		return `"` + string(text) + `"`
	case 2:
		return `"` + string(text) + `""1"`
	}
	return string(text)
}

func TestNumbersKernels(t *testing.T) {
	const low, high = -1e6, 1e12
	for _, k := range Runnable() {
		t.Run(k.Rows, func(t *testing.T) {
			random := rand.New(rand.NewPCG(3, 4))
			read := 0
			for range 20 {
				everyLayout(random, func() string { return randomNumber(random) }, func(cells []string, f Fields) {
					values := make([]float64, len(cells))
					over := Left(nil).Of(len(cells))
					over[0] = 0xff
					k.Numbers(f, values, low, high, over)
					read += checkNumbers(t, cells, values, over, low, high)
				})
			}
			if read < 10_000 {
				t.Errorf("only %d numbers were read at once", read)
			}
		})
	}
}

// checkNumbers compares with strconv.ParseFloat and with what a cell must look like to be read at once.
func checkNumbers(t *testing.T, cells []string, values []float64, over Left, low, high float64) (read int) {
	t.Helper()
	for row, cell := range cells {
		text := cell
		if strings.HasPrefix(cell, `"`) {
			text = cell[1 : len(cell)-1]
		}
		want, err := strconv.ParseFloat(text, 64)
		digits := strings.NewReplacer(".", "", "-", "").Replace(text)
		count, _ := strconv.ParseUint(digits, 10, 64)
		plain := err == nil && strings.Trim(text, "-.0123456789") == "" && len(text) <= 16 && count < decimalDigitsMax &&
			want >= low && want <= high
		if got := over[row/8]>>(row%8)&1 == 0; got != plain {
			t.Fatalf("%q in row %d of %d: read %v, want %v", cell, row, len(cells), got, plain)
		}
		if plain && math.Float64bits(values[row]) != math.Float64bits(want) {
			t.Fatalf("%q in row %d of %d: %v, want %v", cell, row, len(cells), values[row], want)
		}
		if plain {
			read++
		}
	}
	if rest := len(cells) % 8; rest > 0 && over[len(over)-1]>>rest != 0 {
		t.Fatalf("rows behind the last are left over: %08b", over[len(over)-1])
	}
	return read
}

// randomTexts are distinct texts of many sizes that like to be alike.
func randomTexts(random *rand.Rand, n, longest int) map[string]uint16 {
	codes := map[string]uint16{}
	for len(codes) < n {
		size := 1 + random.IntN(longest)
		text := []byte(strings.Repeat("ab", size))[:size]
		for range 1 + random.IntN(3) {
			text[random.IntN(size)] = byte('a' + random.IntN(20))
		}
		if _, known := codes[string(text)]; !known {
			codes[string(text)] = uint16(len(codes))
		}
	}
	return codes
}

func TestCategoriesKernels(t *testing.T) {
	for _, k := range Runnable() {
		t.Run(k.Rows, func(t *testing.T) {
			random := rand.New(rand.NewPCG(5, 6))
			found := 0
			for _, longest := range []int{4, 8, 9, 16, 17, 32, 40} {
				for _, n := range []int{1, 4, 20} {
					codes := randomTexts(random, n, longest)
					cell := func() string { return randomCategory(random, codes) }
					d := NewDictionary(codes)
					everyLayout(random, cell, func(cells []string, f Fields) {
						out := make([]uint16, len(cells))
						over := Left(nil).Of(len(cells))
						over[0] = 0xff
						k.Categories(f, out, d, over)
						found += checkCategories(t, f, cells, out, over, codes)
					})
				}
			}
			if found < 5_000 {
				t.Errorf("only %d cells were found", found)
			}
		})
	}
}

func randomCategory(random *rand.Rand, codes map[string]uint16) string {
	for text := range codes {
		b := []byte(text)
		switch random.IntN(8) {
		case 0:
			b[random.IntN(len(b))] ^= 1
		case 1:
			b = b[:len(b)-1]
		case 2:
			b = append(b, ' ')
		case 3:
			return `"` + text + `"`
		case 4:
			return `"` + text + `""x"`
		}
		return string(b)
	}
	return ""
}

func checkCategories(
	t *testing.T, f Fields, cells []string, got []uint16, over Left, codes map[string]uint16,
) (found int) {
	t.Helper()
	for row, cell := range cells {
		text := cell
		if strings.HasPrefix(cell, `"`) {
			text = cell[1 : len(cell)-1]
		}
		want, known := codes[text]
		_, end := f.Bare(row)
		known = known && len(text) <= textMax
		is := over[row/8]>>(row%8)&1 == 0
		if is != known && end >= 16 {
			t.Fatalf("%q in row %d of %d: found %v, want %v", cell, row, len(cells), is, known)
		}
		if is && got[row] != want {
			t.Fatalf("%q in row %d of %d: %d, want %d", cell, row, len(cells), got[row], want)
		}
		if is {
			found++
		}
	}
	return found
}

func TestDictionaryHardCases(t *testing.T) {
	f := func(name string, small bool, texts ...string) {
		t.Helper()
		codes := map[string]uint16{}
		for i, text := range texts {
			codes[text] = uint16(i)
		}
		d := NewDictionary(codes)
		if (d.small != nil) != small {
			t.Errorf("%s: small %v", name, d.small != nil)
		}
		cells := fieldOf(texts, 40, 1, false)
		out, over := make([]uint16, len(texts)), Left(nil).Of(len(texts))
		categoriesPortable(cells, out, d, over)
		over.Each(func(row int) {
			if len(texts[row]) <= textMax {
				t.Errorf("%s: %q is not found", name, texts[row])
			}
		})
	}
	f("nothing", true)
	f("same size and first eight bytes", true, "Electronic check", "Electronic cheek")
	f("same words, other size", true, strings.Repeat("a", 9), strings.Repeat("a", 10))
	f("differing in the middle only", true, "12345678a2345678b2345678", "12345678x2345678b2345678")
	f("too long", true, strings.Repeat("a", 33), strings.Repeat("a", 34))
	many := make([]string, 150)
	for i := range many {
		many[i] = fmt.Sprintf("category %d", i)
	}
	f("many", false, many...)
}
