package serve

import (
	"io"
	"strconv"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func pack(w io.Writer, source io.Reader, coding string) (err error) {
	var packer io.WriteCloser
	switch coding {
	case "zstd":
		packer, err = zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	case "br":
		packer = brotli.NewWriterLevel(w, brotliLevel)
	default:
		packer, err = gzip.NewWriterLevel(w, gzip.BestSpeed)
	}
	if err != nil {
		return err
	}
	if _, err := io.Copy(packer, source); err != nil {
		return err
	}
	return packer.Close()
}

// brotliLevel is the fastest that is not only Huffman coding; the better ones are slower than the network.
const brotliLevel = 2

// coding picks the content coding that the client likes best; of several alike the one that costs us least.
func coding(accept string) (best string) {
	accepted := acceptedCodings(accept)
	for _, name := range []string{"zstd", "br", "gzip"} {
		if accepted[name] > accepted[best] {
			best = name
		}
	}
	return best
}

// acceptedCodings reads the weights of an Accept-Encoding header.
func acceptedCodings(accept string) map[string]float64 {
	accepted := map[string]float64{}
	for part := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		_, weight, given := strings.Cut(strings.ReplaceAll(params, " ", ""), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		if !given {
			q = 1
		} else if err != nil {
			q = 0
		}
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			accepted[name] = q
		}
	}
	return accepted
}

func quotedTag(etag, coding string) string {
	etag = strings.Trim(etag, `"`)
	if coding != "" {
		etag += "-" + coding
	}
	return `"` + etag + `"`
}
