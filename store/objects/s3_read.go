package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/retainwise/millrace/store/backoff"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// readAttemptsMax is how often a body may break without a byte in between.
const readAttemptsMax = 5

// Get implements [Store].
func (b *bucket) Get(ctx context.Context, key string, r Range, ifMatch string) (io.ReadCloser, Info, error) {
	body, info, err := b.get(ctx, key, r, ifMatch)
	if err != nil {
		return nil, Info{}, fmt.Errorf("get object: %w", s3Error(err))
	}
	return body, info, nil
}

func (b *bucket) get(ctx context.Context, key string, r Range, ifMatch string) (io.ReadCloser, Info, error) {
	if err := checkKey(key); err != nil {
		return nil, Info{}, err
	}
	if r.Offset < 0 || r.Length < 0 {
		return nil, Info{}, ErrRange
	}
	body := &resumingBody{ctx: ctx, bucket: b, key: key, version: r.Version, etag: ifMatch, offset: r.Offset, end: -1}
	if r.Length > 0 {
		body.end = r.Offset + r.Length
	}
	info, err := body.connect()
	if err != nil {
		return nil, Info{}, err
	}
	body.etag = info.ETag
	if body.end < 0 || body.end > info.Bytes {
		body.end = info.Bytes
	}
	return body, info, nil
}

// resumingBody reads an object and, when the connection breaks, goes on where it stopped, in the same object. It belongs
// to one goroutine, which also closes it: a Read that waits is ended by the context of [Store.Get].
type resumingBody struct {
	ctx         context.Context
	bucket      *bucket
	key, etag   string
	version     string // empty: the newest
	offset, end int64  // end is -1 until known
	body        io.ReadCloser
	cancel      context.CancelFunc
	failures    int // since the last byte
	closed      bool
}

// connect asks for the bytes from offset on. The context of the request lives as long as its body.
func (r *resumingBody) connect() (Info, error) {
	ctx, cancel := context.WithCancel(r.ctx)
	in := &s3.GetObjectInput{
		Bucket: &r.bucket.name, Key: r.bucket.bucketKey(r.key), VersionId: versionID(r.version),
	}
	if r.etag != "" {
		in.IfMatch = &r.etag
	}
	switch {
	case r.end >= 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", r.offset, r.end-1))
	case r.offset > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", r.offset))
	}
	out, err := r.bucket.getObject(ctx, in)
	if err != nil {
		cancel()
		return Info{}, err
	}
	r.body, r.cancel = out.Body, cancel
	info := Info{
		Key: r.key, Bytes: aws.ToInt64(out.ContentLength), ETag: aws.ToString(out.ETag), Version: aws.ToString(out.VersionId),
		Modified: aws.ToTime(out.LastModified),
	}
	if out.ContentRange != nil {
		if _, err := fmt.Sscanf(*out.ContentRange, "bytes %d-%d/%d", new(int64), new(int64), &info.Bytes); err != nil {
			return Info{}, errors.Join(fmt.Errorf("content range %q: %w", *out.ContentRange, err), r.disconnect())
		}
	}
	return info, nil
}

// Read implements io.Reader.
func (r *resumingBody) Read(p []byte) (int, error) {
	for r.offset < r.end {
		if err := r.ctx.Err(); err != nil {
			return 0, err
		}
		if r.closed {
			return 0, errors.New("read object: closed")
		}
		if r.body == nil {
			if _, err := r.connect(); err != nil {
				return 0, fmt.Errorf("resume object at byte %d: %w", r.offset, s3Error(err))
			}
		}
		n, err := r.readBody(p)
		r.offset += int64(n)
		if n > 0 {
			r.failures = 0
			return n, nil // an error will come again, or was the end
		}
		if err = r.retryOrFail(err); err != nil {
			return 0, err
		}
	}
	return 0, io.EOF
}

// readBody reads with a deadline, which the SDK does not give a body.
func (r *resumingBody) readBody(p []byte) (int, error) {
	timer := time.AfterFunc(r.bucket.timeout, r.cancel)
	defer timer.Stop()
	return r.body.Read(p[:min(int64(len(p)), r.end-r.offset)])
}

// retryOrFail closes a body that broke and waits before the next attempt, or returns an error after the last.
func (r *resumingBody) retryOrFail(err error) error {
	if err == nil {
		return nil
	}
	_ = r.disconnect()
	r.failures++
	if r.failures >= readAttemptsMax {
		return fmt.Errorf("read object at byte %d: %w: %w", r.offset, ErrInterrupted, err)
	}
	backoff.Pause(r.ctx, backoff.Jittered(r.failures, 2*time.Second))
	return nil
}

// Close implements io.Closer.
func (r *resumingBody) Close() error {
	r.closed = true
	return r.disconnect()
}

func (r *resumingBody) disconnect() error {
	if r.body == nil {
		return nil
	}
	r.cancel()
	err := r.body.Close()
	r.body = nil
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}
