package wire

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"strings"

	"github.com/retainwise/millrace/serve/internal/fault"
)

// Digests are the digests of a Content-Digest header (RFC 9530), and the hashes to check a body against them. A digest that
// the header does not have is nil.
type Digests struct {
	Sha256, sha512 []byte
	hashes         []hash.Hash // of the body so far, for those that are given
}

// ParseDigests parses the header. It ignores unknown algorithms, as RFC 9530 requires.
func ParseDigests(header string) (Digests, error) {
	var d Digests
	if header == "" {
		return d, nil
	}
	for member := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(member), "=")
		var size int
		var field *[]byte
		switch strings.ToLower(name) {
		case "sha-256":
			size, field = sha256.Size, &d.Sha256
		case "sha-512":
			size, field = sha512.Size, &d.sha512
		default:
			continue
		}
		value, colon := strings.CutPrefix(value, ":")
		value, end := strings.CutSuffix(value, ":")
		sum, err := base64.StdEncoding.DecodeString(value)
		if !colon || !end || err != nil || len(sum) != size {
			return d, fault.Fail(fault.CodeInvalidValue, "The Content-Digest header cannot be read. It looks like 'sha-256=:…:'.").
				With(fault.Details{"field": "Content-Digest"})
		}
		*field = sum
	}
	if d.Sha256 != nil {
		d.hashes = append(d.hashes, sha256.New())
	}
	if d.sha512 != nil {
		d.hashes = append(d.hashes, sha512.New())
	}
	return d, nil
}

// SHA256Digest returns a SHA-256 as the headers of RFC 9530 write it.
func SHA256Digest(sum []byte) string {
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum) + ":"
}

// Write adds bytes of the body.
func (d *Digests) Write(p []byte) {
	for _, h := range d.hashes {
		_, _ = h.Write(p) // a hash never fails
	}
}

// Matched reports whether the body that was written has the announced digests.
func (d *Digests) Matched() bool {
	for _, h := range d.hashes {
		want := d.Sha256
		if h.Size() == sha512.Size {
			want = d.sha512
		}
		if !bytes.Equal(h.Sum(nil), want) {
			return false
		}
	}
	return true
}
