package objects

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
)

// A Digest is the CRC-32C of an object's bytes, a block at a time, so that a range can be compared without the bytes
// around it, and digests of parts are together the digest of the object that is joined from them. CRC-32C, because the
// fault to be found is of a disk, a memory or a wire and not an attack, which would change the digest too: it finds every
// burst of up to 32 bits, misses one of 4 billion other changes, and amd64 and arm64 have instructions for it, so that it
// costs less than copying the bytes does.
//
// It is stored as it is: for each run of bytes its length in 8 bytes, then 4 bytes for each of its blocks. The last
// block of a run may be shorter. nil means that none was recorded.
type Digest []byte

// digestBlockBytes is a compromise: reading one row of a result reads a block, and the digest is a 16,000th of the object.
const digestBlockBytes = 64 << 10

const (
	runHeadBytes  = 8
	blockSumBytes = 4
)

// errDigest means that a digest is not of the form that a [Digester] makes.
var errDigest = errors.New("malformed digest")

// Digester makes the [Digest] of what is written to it. The zero value has seen nothing.
type Digester struct {
	bytes int64
	sum   uint32 // of the block that is not full
	sums  []byte
}

// NewDigester returns a digester of nothing yet.
func NewDigester() *Digester { return new(Digester) }

// Write implements io.Writer; it cannot fail.
func (d *Digester) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		k := min(len(p), digestBlockBytes-int(d.bytes%digestBlockBytes))
		d.sum = crc32.Update(d.sum, castagnoli(), p[:k])
		d.bytes += int64(k)
		if d.bytes%digestBlockBytes == 0 {
			d.sums = binary.BigEndian.AppendUint32(d.sums, d.sum)
			d.sum = 0
		}
		p = p[k:]
	}
	return n, nil
}

// Sum appends the [Digest] of what was written so far to b.
func (d *Digester) Sum(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(d.bytes))
	b = append(b, d.sums...)
	if d.bytes%digestBlockBytes != 0 {
		b = binary.BigEndian.AppendUint32(b, d.sum)
	}
	return b
}

// castagnoli is the package's own table: nothing is made.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// joinDigests returns the digest of objects one after the other; nil if one of them has none.
func joinDigests(parts []Source) Digest {
	var joined Digest
	for _, p := range parts {
		if p.Digest == nil {
			return nil
		}
		joined = append(joined, p.Digest...)
	}
	return joined
}

// Size returns of how many bytes a digest is; 0 for nil. It is an error if the digest is malformed.
func (d Digest) Size() (int64, error) {
	size := int64(0)
	for len(d) > 0 {
		n, rest, err := d.run()
		if err != nil {
			return 0, err
		}
		size, d = size+n, rest
	}
	return size, nil
}

// run returns the length of the first run and the runs behind it.
func (d Digest) run() (int64, Digest, error) {
	if len(d) < runHeadBytes {
		return 0, nil, errDigest
	}
	n := binary.BigEndian.Uint64(d)
	if n > 1<<62 || (n+digestBlockBytes-1)/digestBlockBytes > uint64(len(d)-runHeadBytes)/blockSumBytes {
		return 0, nil, errDigest
	}
	blocks := int((n + digestBlockBytes - 1) / digestBlockBytes)
	return int64(n), d[runHeadBytes+blocks*blockSumBytes:], nil
}

// block is what is compared at once.
type block struct {
	offset int64 // from where the digest begins
	bytes  int
	sum    uint32
}

func (b block) end() int64 { return b.offset + int64(b.bytes) }

func (b block) matches(p []byte) bool { return crc32.Checksum(p, castagnoli()) == b.sum }

// blocks returns the blocks that have a byte from from to to, which is behind the last.
func (d Digest) blocks(from, to int64) ([]block, error) {
	var found []block
	for offset := int64(0); len(d) > 0 && offset < to; {
		n, rest, err := d.run()
		if err != nil {
			return nil, err
		}
		if offset+n > from {
			found = slices.Grow(found, int((min(to, offset+n)-max(from, offset))/digestBlockBytes)+2)
			for at := max(0, from-offset) / digestBlockBytes * digestBlockBytes; at < n && offset+at < to; at += digestBlockBytes {
				sum := binary.BigEndian.Uint32(d[runHeadBytes+at/digestBlockBytes*blockSumBytes:])
				found = append(found, block{offset + at, int(min(digestBlockBytes, n-at)), sum})
			}
		}
		offset, d = offset+n, rest
	}
	return found, nil
}
