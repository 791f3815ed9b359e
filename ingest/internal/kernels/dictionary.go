package kernels

import (
	"maps"
	"math/bits"
	"slices"
)

// Dictionary finds the code of a text by a hash without collisions, and then compares every byte of the text: as four
// words of eight, which overlap where it is shorter.
type Dictionary struct {
	multiplier uint64
	shift      uint64
	slots      []entry
	small      *smallDictionary // for the vector kernel, if it fits
}

// entry is a text in words and its code.
type entry struct {
	first, last, second, third uint64
	size, code                 uint32
}

// textMax is the longest text that the words cover. Longer ones are not in a dictionary.
const textMax = 32

// noText is the size of a free slot of a small dictionary: one that no cell has.
const noText = 1<<64 - 1<<32

// slotsMax bounds a dictionary's memory, and with it the number of texts to some 180.
const slotsMax = 2048

// smallSlots is what a vector kernel can look up in registers.
const smallSlots = 16

// smallDictionary is a dictionary of 16 slots, word by word. The assembly knows its layout.
type smallDictionary struct {
	multiplier                       uint64
	long                             uint64 // 1 if a text has more than 16 bytes
	first, last, second, third, meta [smallSlots]uint64
}

// NewDictionary returns a dictionary of the texts that fit. Should no hash be found, it is empty.
func NewDictionary(codes map[string]uint16) *Dictionary {
	var entries []entry
	for _, text := range slices.Sorted(maps.Keys(codes)) {
		if len(text) > 0 && len(text) <= textMax {
			var padded [textMax + Slack]byte
			end := uint32(textMax/2 + copy(padded[textMax/2:], text))
			e := entry{size: uint32(len(text)), code: uint32(codes[text])}
			e.first, e.last, e.second, e.third = wordsOf(padded[:], textMax/2, end)
			entries = append(entries, e)
		}
	}
	d := &Dictionary{shift: 64 - 4, slots: make([]entry, smallSlots)}
	for n := len(entries); len(d.slots) <= slotsMax; {
		// With more pairs of texts than this a hash without collisions is not to be expected.
		if n*n <= 16*len(d.slots) && n <= len(d.slots) && d.findMultiplier(entries) {
			d.makeSmall()
			return d
		}
		d.slots = make([]entry, 2*len(d.slots))
		d.shift--
	}
	d = &Dictionary{shift: 64 - 4, slots: make([]entry, smallSlots)}
	d.makeSmall()
	return d
}

// findMultiplier tries multipliers, always the same ones, until no two entries share a slot.
func (d *Dictionary) findMultiplier(entries []entry) bool {
	const tries = 4096
	seed := uint64(0)
	for range tries {
		seed += 0x9e3779b97f4a7c15
		mixed := (seed ^ seed>>30) * 0xbf58476d1ce4e5b9
		d.multiplier = (mixed ^ mixed>>27) | 1
		if d.place(entries) {
			return true
		}
	}
	return false
}

func (d *Dictionary) place(entries []entry) bool {
	clear(d.slots)
	for i := range entries {
		e := &entries[i]
		slot := &d.slots[hash(e.first, e.last, e.second, e.third, e.size)*d.multiplier>>d.shift]
		if slot.size != 0 {
			return false
		}
		*slot = *e
	}
	return true
}

func (d *Dictionary) makeSmall() {
	if len(d.slots) != smallSlots {
		return
	}
	d.small = &smallDictionary{multiplier: d.multiplier}
	for i, e := range d.slots {
		s := d.small
		s.first[i], s.last[i], s.second[i], s.third[i] = e.first, e.last, e.second, e.third
		s.meta[i] = uint64(e.size)<<32 | uint64(e.code)
		if e.size == 0 {
			s.meta[i] = noText // an empty cell must not match a free slot
		}
		if e.size > 16 {
			s.long = 1
		}
	}
}

// sizeMasks keep of the four words of a text what the text has, for each size: cells of all sizes take one path then.
var sizeMasks = makeSizeMasks()

func makeSizeMasks() (masks [textMax + 1][3]uint64) {
	for size := range masks {
		masks[size][0] = 1<<(8*size) - 1
		if size > 8 {
			masks[size][1] = everyByte
		}
		if size > 16 {
			masks[size][2] = everyByte
		}
	}
	return masks
}

// wordsOf takes the words of a text of at most textMax bytes. 16 bytes before its end and from its start are readable.
func wordsOf(text []byte, start, end uint32) (first, last, second, third uint64) {
	mask := &sizeMasks[end-start]
	front, back := text[start:start+16], text[end-16:end]
	return wordAt(front, 0) & mask[0], wordAt(back, 8) & mask[1], wordAt(front, 8) & mask[2], wordAt(back, 0) & mask[2]
}

// hash mixes all words, as texts may differ in any of them, or in their size alone.
func hash(first, last, second, third uint64, size uint32) uint64 {
	mixed := first ^ bits.RotateLeft64(last, 29) ^ uint64(size)<<57
	return mixed ^ bits.RotateLeft64(second, 17) ^ bits.RotateLeft64(third, 43)
}

func categoriesPortable(f Fields, codes []uint16, d *Dictionary, over Left) {
	clear(over)
	codes = codes[:f.Rows]
	slots, multiplier, shift := d.slots, d.multiplier, d.shift&63
	for row := range codes {
		start, end := f.Bare(row)
		size := end - start
		if size-1 >= textMax || end < 16 {
			over.Add(row)
			continue
		}
		first, last, second, third := wordsOf(f.Text, start, end)
		found := &slots[hash(first, last, second, third, size)*multiplier>>shift]
		differs := (first ^ found.first) | (last ^ found.last) | (second ^ found.second) | (third ^ found.third)
		if differs != 0 || size != found.size {
			over.Add(row)
		}
		codes[row] = uint16(found.code)
	}
}
