package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/place"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/serve/internal/wire"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

// streamIdleTimeout is how long a client may read nothing of a download before the connection is closed.
const streamIdleTimeout = 60 * time.Second

func downloadResult(s *server, r *request) error {
	return s.download(r, "scored", wire.ResultColumns, objects.ResultName)
}

func downloadRejects(s *server, r *request) error {
	return s.download(r, "rejects", wire.RejectColumns, objects.RejectsName)
}

// download answers with a stored file of a prediction that has ended; own are the columns that scoring added to it.
func (s *server) download(r *request, kind string, own []wire.TableColumn, name string) error {
	format, err := r.formatParam(wire.FormatCSV, wire.FormatArrow, wire.FormatLines)
	if err != nil {
		return err
	}
	p, err := s.findPrediction(r)
	if err != nil {
		return err
	}
	if err := r.checkGeneration(p); err != nil {
		return err
	}
	if f := notReady(p, fileKey(p, name)); f != nil {
		return f
	}
	d := delivery{
		prediction: p, name: name, format: firstOf(format, []string{wire.FormatCSV}), own: own, compressors: s.compressors,
		packing: s.packing,
	}
	if err := s.openDelivery(r.ctx, &d); err != nil {
		return err
	}
	options, err := plan.OptionsOf(p)
	if err != nil {
		return err
	}
	d.guarded = !options.Unguarded()
	r.setGuardHeader(options.Unguarded() || format != "" && format != wire.FormatCSV)
	r.set("Content-Disposition", dispositionAs(p.Filename, kind, d.format))
	if p.Status == store.Cancelled {
		r.set("X-Row-Count", strconv.FormatInt(p.Scored, 10))
	}
	s.setResultMaxAge(r, p, time.Now())
	return s.deliver(r, d)
}

// fileKey returns the key of a published object of a prediction; empty if there is none.
func fileKey(p store.Prediction, name string) string {
	if name == objects.RejectsName {
		return p.RejectsKey
	}
	return p.ResultKey
}

// openDelivery sets what the database and the object store know of the object.
func (s *server) openDelivery(ctx context.Context, d *delivery) error {
	file, err := s.Store.Predictions.File(ctx, d.prediction, d.name)
	if err != nil {
		return storefault.ExplainAs(fault.CodeDatabase, err)
	}
	info, err := s.Objects.Head(ctx, file.Key)
	if err != nil {
		return s.readFailure(ctx, err)
	}
	d.file, d.size, d.etag = file, info.Bytes, info.ETag
	if file.Digest == nil {
		return nil
	}
	if d.size, err = file.Digest.Size(); err == nil && d.size != info.Bytes {
		s.Metrics.Reading(readKind(d.name))(objects.Damaged)
		err = objects.ErrDamaged
	}
	if err != nil {
		return s.readFailure(ctx, err)
	}
	return nil
}

// readKind returns the label of reads of a published object.
func readKind(name string) string {
	if name == objects.RejectsName {
		return metrics.ReadRejects
	}
	return metrics.ReadResult
}

// readFile reads a range of a published object and compares it with its digest.
func (s *server) readFile(
	ctx context.Context, name string, f store.File, r objects.Range,
) (io.ReadCloser, error) {
	body, _, err := objects.Read(ctx, s.Objects, objects.Source{
		Key: f.Key, ETag: f.ETag, Digest: f.Digest, Observe: s.Metrics.Reading(readKind(name)),
	}, r)
	return body, err
}

// notReady returns why a prediction has no file with the key; nil if it has.
func notReady(p store.Prediction, key string) *fault.Failure {
	switch {
	case p.ResultsDeletedAt != nil:
		return fault.Fail(fault.CodeResultExpired, "")
	case p.Status == store.Completed && key == "":
		return fault.Fail(fault.CodeObjectStore, "")
	case p.Status == store.Completed, (p.Status == store.Cancelled || p.Status == store.Failed) && key != "":
		return nil
	case p.Status == store.Cancelled && p.PartsDone == 0:
		return fault.Fail(fault.CodeCancelled, "")
	case outcome(p) != nil:
		return outcome(p)
	}
	f := fault.Fail(fault.CodeNotFinished, "").With(fault.Details{"state": p.Status})
	f.RetryAfter = time.Second
	return f
}

// delivery is an object that is sent to a customer, and the form in which it is sent.
type delivery struct {
	prediction   store.Prediction
	name         string
	file         store.File
	etag         string
	size         int64
	offset, rest int64 // the byte range that is sent
	coding       string
	format       string
	own          []wire.TableColumn
	guarded      bool // it was written with the guard against formulas
	compressors  *wire.Compressors
	packing      wire.Turns
}

// isStreamed reports whether the object is converted or compressed while it is sent: its length is then unknown, and it has
// no ranges.
func (d *delivery) isStreamed() bool { return d.coding != "" || d.format != wire.FormatCSV }

// tag returns the ETag of the form in which the object is sent. Other formats once had the guard's apostrophes: without them
// they are another form.
func (d *delivery) tag() string {
	form := d.coding
	if d.format != wire.FormatCSV {
		form = d.format
		if d.guarded {
			form += "-unguarded"
		}
		form = strings.TrimSuffix(form+"-"+d.coding, "-")
	}
	return formETag(d.etag, form)
}

// deliver answers with an object, a range of it, or 304 if the client has it already.
func (s *server) deliver(r *request, d delivery) error {
	d.coding = coding(r.header("Accept-Encoding"))
	if r.header("Range") != "" && d.format == wire.FormatCSV {
		d.coding = "" // ranges count the bytes of the file itself
	}
	if r.notModified(d.tag()) {
		return nil
	}
	if err := s.takeDownload(r, &d); err != nil {
		return err
	}
	tag := d.tag()
	if r.notModified(tag) {
		return nil
	}
	r.set("Accept-Ranges", "bytes")
	if d.isStreamed() {
		r.set("Accept-Ranges", "none")
	}
	r.rc.SetContentType(mediaTypes[d.format])
	d.rest = d.size
	if ifRange := r.header("If-Range"); !d.isStreamed() && (ifRange == "" || ifRange == tag) {
		partial, err := d.applyRange(r)
		if err != nil {
			return err
		}
		if partial {
			r.rc.SetStatusCode(http.StatusPartialContent)
		}
	}
	if err := s.setReprDigest(r, &d); err != nil {
		return err
	}
	return s.send(r, d)
}

// firstHashBytesMax is the size of the largest object that is read to its end for its SHA-256 before the first answer.
const firstHashBytesMax = 1 << 30

// setReprDigest sets the SHA-256 of the whole file, if it is sent as it is. That of one which S3 has joined is computed for
// the first answer.
func (s *server) setReprDigest(r *request, d *delivery) error {
	if d.isStreamed() {
		return nil
	}
	if d.file.SHA256 == nil && d.file.Digest != nil && d.size <= firstHashBytesMax {
		sum, err := s.hashFile(r.ctx, d)
		if err != nil {
			return s.readFailure(r.ctx, err)
		}
		d.file.SHA256 = sum
		if err := s.Store.Predictions.RecordSHA256(r.ctx, d.prediction, d.name, d.file); err != nil {
			s.Log.Warn("record sha256", "prediction_id", d.prediction.ID, "error", err)
		}
	}
	if d.file.SHA256 != nil {
		r.set("Repr-Digest", wire.SHA256Digest(d.file.SHA256))
	}
	return nil
}

func (s *server) hashFile(ctx context.Context, d *delivery) ([]byte, error) {
	body, err := s.readFile(ctx, d.name, d.file, objects.Range{})
	if err != nil {
		return nil, err
	}
	digest := sha256.New()
	_, err = io.Copy(digest, body)
	return digest.Sum(nil), errors.Join(err, body.Close())
}

// takeDownload takes the place of an answer that is sent from the object store. While no place for compressing is free, a
// client that accepts the plain file is sent that.
func (s *server) takeDownload(r *request, d *delivery) (err error) {
	if r.method == http.MethodHead {
		return nil
	}
	var p *place.Place
	if d.coding != "" && d.format == wire.FormatCSV && acceptsPlain(r.header("Accept-Encoding")) {
		if p = s.places.Packed.TakeFree(r.caller(), r.meter()); p == nil {
			d.coding = ""
		}
	}
	if p == nil {
		pool, n := s.places.Downloads, 1
		if d.isStreamed() {
			pool, n = s.places.Packed, d.packedPlaces()
		}
		p = pool.Open(r.caller(), r.meter())
		if err = p.Grow(r.ctx, n); err != nil {
			return err
		}
	}
	if r.onEnd(p.Leave); r.conn != nil {
		p.OnLoss(r.conn.Cut)
	}
	return nil
}

// packedPlaces is how many places for packing the conversion needs: Arrow's holds a batch of up to 4 MiB until it is sent.
func (d *delivery) packedPlaces() int {
	if d.format == wire.FormatArrow {
		return 2
	}
	return 1
}

// applyRange applies the Range header. partial is false for the whole file.
func (d *delivery) applyRange(r *request) (partial bool, err error) {
	from, to, given, ok := parseRange(r.header("Range"), d.size)
	if !given {
		return false, nil
	}
	if !ok {
		r.set("Content-Range", fmt.Sprintf("bytes */%d", d.size))
		return false, fault.Fail(fault.CodeRangeNotSatisfiable, "").With(fault.Details{"limit": d.size, "unit": "bytes"})
	}
	d.offset, d.rest = from, to-from
	r.set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, d.size))
	return true, nil
}

// send streams the object after the handler has returned.
func (s *server) send(r *request, d delivery) error {
	if d.coding != "" {
		r.set("Content-Encoding", d.coding)
	}
	if r.method == http.MethodHead {
		if d.isStreamed() {
			d.rest = -1
		}
		r.rc.SetBodyStream(eofReader{}, int(d.rest))
		return nil
	}
	d.file.ETag = d.etag
	object, err := s.readFile(r.ctx, d.name, d.file, objects.Range{Offset: d.offset, Length: d.rest})
	if err != nil {
		return s.readFailure(r.ctx, err)
	}
	if err := r.rc.SetWriteDeadline(time.Now().Add(streamIdleTimeout)); err != nil {
		_ = object.Close()
		return err
	}
	ctx, cancel := r.detachContext()
	out := &outStream{source: object, cancel: cancel, conn: r.rc.Conn(), buffers: &s.copies}
	size := int(d.rest)
	if d.isStreamed() {
		out.source, size = d.convert(ctx, object), -1
	}
	r.rc.SetBodyStream(out, size)
	return nil
}

// parseRange parses a Range header of one byte range. Several ranges, other units and malformed headers count as not given:
// the answer is then the whole file, which is always allowed. ok is false if the range is not satisfiable.
func parseRange(header string, size int64) (from, to int64, given, ok bool) {
	spec, found := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !found || !dash || strings.Contains(spec, ",") {
		return 0, 0, false, false
	}
	if first == "" { // the last n bytes
		n, err := strconv.ParseUint(last, 10, 62)
		if err != nil {
			return 0, 0, false, false
		}
		from = max(0, size-int64(n))
		return from, size, true, n > 0 && size > 0
	}
	start, err := strconv.ParseUint(first, 10, 62)
	if err != nil {
		return 0, 0, false, false
	}
	from, to = int64(start), size
	if last != "" {
		end, err := strconv.ParseUint(last, 10, 62)
		if err != nil || end < start {
			return 0, 0, false, false
		}
		to = min(size, int64(end)+1)
	}
	return from, to, true, from < size
}

// disposition returns the Content-Disposition of a download, named after the customer's file: in ASCII and, as RFC 6266
// specifies, in UTF-8.
func disposition(filename, kind string) string { return dispositionAs(filename, kind, wire.FormatCSV) }

// dispositionAs is disposition for another format than CSV.
func dispositionAs(filename, kind, format string) string {
	base := path.Base(filename)
	if strings.IndexByte("=+-@", base[0]) >= 0 {
		base = "_" + base // so that it is neither a spreadsheet formula nor a command-line option
	}
	for _, ending := range []string{".gz", ".zst", ".csv"} {
		if len(base) > len(ending) && strings.EqualFold(base[len(base)-len(ending):], ending) {
			base = base[:len(base)-len(ending)]
		}
	}
	name := base + "-" + kind + "." + format
	var ascii, full strings.Builder
	for _, c := range []byte(name) {
		token := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("-._", c) >= 0
		switch {
		case token:
			ascii.WriteByte(c)
			full.WriteByte(c)
		default:
			ascii.WriteByte('_')
			fmt.Fprintf(&full, "%%%02X", c)
		}
	}
	return fmt.Sprintf(`attachment; filename="%s"; filename*=UTF-8''%s`, ascii.String(), full.String())
}

// readFailure explains why a recorded object cannot be read. A refused or missing object may be the first sign of an
// outage, so the object store is probed.
func (s *server) readFailure(ctx context.Context, err error) *fault.Failure {
	gone := errors.Is(err, store.ErrNotFound)
	isRefused := store.FaultOf(err) == store.FaultRefused
	if !gone && !isRefused {
		return storefault.ObjectFailure(err)
	}
	if probeErr := store.PingObjects(ctx, s.Objects); probeErr != nil {
		return fault.Fail(fault.CodeObjectStore, "").Because(errors.Join(err, probeErr))
	}
	if isRefused {
		return storefault.ObjectRefused(err)
	}
	s.Metrics.ObjectGone(metrics.GoneResult)
	return fault.Fail(fault.CodeGone, "").Because(err)
}
