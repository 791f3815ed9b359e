package objects_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// flipping flips one bit of what is read, at a random place, in the next reads. It belongs to one goroutine.
type flipping struct {
	objects.Store
	reads int
	seed  *rand.Rand
}

func (f *flipping) Get(ctx context.Context, key string, r objects.Range, etag string) (io.ReadCloser, objects.Info, error) {
	body, info, err := f.Store.Get(ctx, key, r, etag)
	if f.reads--; err != nil || f.reads < 0 {
		return body, info, err
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return nil, info, err
	}
	if len(content) > 0 {
		content[f.seed.IntN(len(content))] ^= 1 << f.seed.IntN(8)
	}
	return io.NopCloser(bytes.NewReader(content)), info, body.Close()
}

const digestBlock = 64 << 10

// joined are sizes of objects that become one, with all that a block's border can be to a part's.
var joined = [][]int{
	{1},
	{digestBlock},
	{digestBlock - 1},
	{digestBlock + 1},
	{3*digestBlock + 5},
	{5, 7},
	{digestBlock, digestBlock},
	{digestBlock + 1, 3, 2*digestBlock - 1, 1},
	{1, digestBlock, 1},
}

// A range of an object is what it was when it was stored, whatever a read gives, or an error.
func TestRead_ComparesEveryRange(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		for _, sizes := range joined {
			source, content := composed(t, o, sizes)
			size := len(content)
			ranges := []objects.Range{{}, {Length: 1}, {Offset: int64(size - 1)}, {Length: int64(size) + 9}}
			for range 20 {
				from := random.IntN(size)
				ranges = append(ranges, objects.Range{Offset: int64(from), Length: 1 + random.Int64N(int64(size-from))})
			}
			for _, r := range ranges {
				f := &flipping{Store: o, reads: random.IntN(4), seed: random}
				want := content[r.Offset:]
				if r.Length > 0 && r.Length < int64(len(want)) {
					want = want[:r.Length]
				}
				got, err := readAll(t, f, source, r, 1+random.IntN(3*digestBlock))
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("sizes %v, range %+v: %d bytes, %v", sizes, r, len(got), err)
				}
			}
		}
	})
}

// composed stores parts and joins them.
func composed(t *testing.T, o objects.Store, sizes []int) (objects.Source, []byte) {
	t.Helper()
	var parts []objects.Source
	var content []byte
	for i, n := range sizes {
		text := storetest.Pattern(n + i)[i:]
		content = append(content, text...)
		info := storetest.PutObject(t, o, fmt.Sprintf("a/%d", i), text)
		parts = append(parts, objects.Source{Key: info.Key, Digest: info.Digest})
	}
	info, err := o.Compose(t.Context(), "results/whole", parts)
	if err != nil {
		t.Fatal(err)
	}
	size, err := info.Digest.Size()
	if err != nil || size != int64(len(content)) {
		t.Fatalf("a digest of %d bytes, want %d: %v", size, len(content), err)
	}
	return objects.Source{Key: info.Key, Digest: info.Digest}, content
}

func readAll(t *testing.T, o objects.Store, s objects.Source, r objects.Range, buffer int) (content []byte, err error) {
	t.Helper()
	body, _, err := objects.Read(t.Context(), o, s, r)
	if err != nil {
		return nil, err
	}
	p := make([]byte, buffer)
	for err == nil {
		var n int
		n, err = body.Read(p)
		content = append(content, p[:n]...)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return content, errors.Join(err, body.Close())
}

// Bytes that are wrong in the store are never returned: what was read before them is right.
func TestRead_DamagedObjects(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	content := storetest.Pattern(3*digestBlock + 100)
	for name, damage := range map[string]func([]byte) []byte{
		"a bit":      func(b []byte) []byte { b[random.IntN(len(b))] ^= 1 << random.IntN(8); return b },
		"cut off":    func(b []byte) []byte { return b[:random.IntN(len(b))] },
		"a zero run": func(b []byte) []byte { i := random.IntN(len(b) - 600); clear(b[i : i+600]); return b },
		"exchanged": func(b []byte) []byte {
			return slices.Concat(b[digestBlock:2*digestBlock], b[:digestBlock], b[2*digestBlock:])
		},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
				info := storetest.PutObject(t, o, "uploads/a", content)
				storetest.PutObject(t, o, "uploads/a", damage(bytes.Clone(content)))
				mismatches, damaged := 0, 0
				source := objects.Source{Key: "uploads/a", ETag: info.ETag, Digest: info.Digest, Observe: func(f objects.Finding) {
					if f == objects.Damaged {
						damaged++
						return
					}
					wantEqual(t, "finding", f, objects.Mismatched)
					mismatches++
				}}
				got, err := readAll(t, o, source, objects.Range{}, 10_000)
				wantErr(t, err, objects.ErrDamaged)
				if !bytes.HasPrefix(content, got) {
					t.Error("wrong bytes were returned")
				}
				wantEqual(t, "reads of the block", mismatches, 4)
				wantEqual(t, "given up", damaged, 1)
				_, err = o.Compose(t.Context(), "results/whole", []objects.Source{source, source})
				wantErr(t, err, objects.ErrDamaged)
			})
		})
	}
}

func TestRead_WithoutDigest(t *testing.T) {
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		info := storetest.PutObject(t, o, "uploads/a", []byte("content"))
		found := 0
		source := objects.Source{Key: "uploads/a", ETag: info.ETag, Offset: 3, Observe: func(f objects.Finding) {
			wantEqual(t, "finding", f, objects.Unrecorded)
			found++
		}}
		got, err := readAll(t, o, source, objects.Range{Length: 2}, 10)
		if err != nil || string(got) != "te" || found != 1 {
			t.Errorf("%q, found %d times: %v", got, found, err)
		}
		source.ETag = `"another"`
		_, err = readAll(t, o, source, objects.Range{}, 10)
		wantErr(t, err, objects.ErrChanged)
	})
}

func TestRead_EmptyObjectsAndRanges(t *testing.T) {
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		info := storetest.PutObject(t, o, "uploads/a", nil)
		got, err := readAll(t, o, objects.Source{Key: info.Key, Digest: info.Digest}, objects.Range{}, 10)
		if err != nil || len(got) != 0 {
			t.Errorf("%q: %v", got, err)
		}
		info = storetest.PutObject(t, o, "uploads/b", []byte("content"))
		for _, r := range []objects.Range{{Offset: 7}, {Offset: -1}, {Length: -1}} {
			_, err := readAll(t, o, objects.Source{Key: info.Key, Digest: info.Digest}, r, 10)
			wantErr(t, err, objects.ErrRange)
		}
		_, err = readAll(t, o, objects.Source{Key: "uploads/c", Digest: info.Digest}, objects.Range{}, 10)
		wantErr(t, err, objects.ErrNotFound)
	})
}

// A digest comes from a database, where another version or a hand may have written it.
func TestDigest_Malformed(t *testing.T) {
	o := openDirectory(t)
	info := storetest.PutObject(t, o, "uploads/a", storetest.Pattern(digestBlock+1))
	for n := 1; n < len(info.Digest); n++ {
		_, err := readAll(t, o, objects.Source{Key: info.Key, Digest: info.Digest[:n]}, objects.Range{}, 10)
		if err == nil || errors.Is(err, objects.ErrDamaged) {
			t.Errorf("%d bytes of a digest: %v", n, err)
		}
	}
	huge := slices.Repeat(objects.Digest{0xff}, 20)
	if _, err := huge.Size(); err == nil {
		t.Error("a length of 2^64")
	}
}

// A bit that flips in a mark must not make the store another installation's.
func TestReadMark_FlippedBits(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	o := openDirectory(t)
	want := objects.Mark{Installation: uuid.New(), Sweeps: 7, Sweep: uuid.New()}
	if err := objects.WriteMark(t.Context(), o, want, ""); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		m, _, err := objects.ReadMark(t.Context(), &flipping{Store: o, reads: 1, seed: random})
		if err != nil || m != want {
			t.Fatalf("%+v, want %+v: %v", m, want, err)
		}
	}
}

func openDirectory(t *testing.T) objects.Store {
	t.Helper()
	o, err := objects.OpenDirectory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return o
}
