package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// magicBytes is how much of a file's front identifies its kind.
const magicBytes = 8

// foreign are the first bytes of what customers send instead of text, what that is, and which error.
var foreign = [...]struct {
	magic, kind string
	err         error
}{
	{"PK\x03\x04", "an Excel workbook or a ZIP archive", ErrNotText},
	{"PK\x05\x06", "an empty ZIP archive", ErrNotText},
	{"\xd0\xcf\x11\xe0", "an Excel workbook", ErrNotText},
	{"\xff\xfe", "text in UTF-16", ErrNotText},
	{"\xfe\xff", "text in UTF-16", ErrNotText},
	{"\x00\x00\xfe\xff", "text in UTF-32", ErrNotText},
	{"\x1f\x8b", "packed with gzip twice", ErrNotCSV},
	{"\x28\xb5\x2f\xfd", "packed with zstd twice", ErrNotCSV},
	{"BZh", "packed with bzip2", ErrNotCSV},
	{"\xfd7zXZ\x00", "packed with xz", ErrNotCSV},
	{"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", ErrNotCSV},
	{"Rar!\x1a\x07", "a RAR archive", ErrNotCSV},
	{"%PDF-", "a PDF document", ErrNotCSV},
	{"\x89PNG\r\n", "a picture", ErrNotCSV},
	{"\xff\xd8\xff", "a picture", ErrNotCSV},
	{"GIF8", "a picture", ErrNotCSV},
	{"PAR1", "a Parquet file", ErrNotCSV},
	{"ARROW1", "an Arrow file", ErrNotCSV},
	{"SQLite f", "a database", ErrNotCSV},
}

// ForeignError is a file that is something else that is known. It is an [ErrNotText] or an [ErrNotCSV].
type ForeignError struct {
	Kind string // "an Excel workbook"
	err  error
}

// Error implements error.
func (e *ForeignError) Error() string { return "file is " + e.Kind }

// Unwrap gives the one of the two that it is.
func (e *ForeignError) Unwrap() error { return e.err }

// checkFront says whether the front of a file may be text.
func checkFront(front []byte) error {
	for _, f := range foreign {
		if bytes.HasPrefix(front, []byte(f.magic)) {
			return &ForeignError{f.kind, f.err}
		}
	}
	return nil
}

// unpackWindowMax bounds what a zstd frame may make us hold; encoders stay at or below 8 MiB unless configured otherwise.
const unpackWindowMax = 8 << 20

// Unpack returns the text of a file that may be packed with gzip (any number of members) or zstd, which the first bytes identify.
// Plain text passes through. The reader starts no goroutine and needs no closing; a read error of r is passed on as it
// is, while damage gives [ErrDamagedArchive] and growth beyond the limits [ErrUnpackedTooLarge].
func Unpack(r io.Reader, limits Limits) (io.Reader, error) {
	var front [magicBytes]byte
	n, _, err := readWhole(r, front[:])
	if err != nil {
		return nil, fmt.Errorf("read front of file: %w", err)
	}
	whole := io.MultiReader(bytes.NewReader(front[:n]), r)
	isGzip := bytes.HasPrefix(front[:n], []byte("\x1f\x8b"))
	if isGzip || isZstd(front) {
		return newUnpacker(whole, isGzip, limits.withDefaults())
	}
	if err := checkFront(front[:n]); err != nil {
		return nil, fmt.Errorf("read front of file: %w", err)
	}
	return whole, nil
}

// isZstd knows a zstd frame and the skippable frame that parallel packers begin with.
func isZstd(front [magicBytes]byte) bool {
	return string(front[:4]) == "\x28\xb5\x2f\xfd" || front[0]&0xf0 == 0x50 && string(front[1:4]) == "\x2a\x4d\x18"
}

// unpacker watches both ends of a decoder.
type unpacker struct {
	decoder io.Reader
	packed  *packedReader
	limits  Limits
	out     int64
}

func newUnpacker(r io.Reader, isGzip bool, limits Limits) (io.Reader, error) {
	u := &unpacker{packed: &packedReader{r: r}, limits: limits}
	var err error
	if isGzip {
		u.decoder, err = gzip.NewReader(u.packed)
	} else {
		u.decoder, err = zstd.NewReader(u.packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(unpackWindowMax))
	}
	if err != nil {
		return nil, u.blame(err)
	}
	return u, nil
}

// Read implements io.Reader.
func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.decoder.Read(p)
	u.out += int64(n)
	if u.tooLarge() {
		return 0, fmt.Errorf("unpack: %w", ErrUnpackedTooLarge)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return n, u.blame(err)
	}
	return n, err
}

func (u *unpacker) tooLarge() bool {
	if u.limits.UnpackedMax > 0 && u.out > u.limits.UnpackedMax {
		return true
	}
	return u.out > 1<<20 && u.out/u.limits.UnpackRatio > u.packed.in
}

// blame distinguishes a broken connection from a broken archive.
func (u *unpacker) blame(err error) error {
	if u.packed.err != nil {
		return fmt.Errorf("unpack: %w", u.packed.err)
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return fmt.Errorf("unpack: %w", ErrUnpackedTooLarge)
	}
	return fmt.Errorf("unpack: %w", ErrDamagedArchive)
}

// packedReader counts the bytes that go in and keeps the first error that is not the end.
type packedReader struct {
	r   io.Reader
	in  int64
	err error
}

// Read implements io.Reader.
func (p *packedReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.in += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		p.err = err
	}
	return n, err
}
