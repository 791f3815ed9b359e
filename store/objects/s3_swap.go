package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/retainwise/millrace/store/awsclient"
)

// PutIf implements [Store]. On a server without conditional writes the ETag is compared before the write.
func (b *bucket) PutIf(ctx context.Context, key string, r io.Reader, etag string) (Info, error) {
	info, err := b.putIf(ctx, key, r, etag)
	if err != nil {
		return Info{}, fmt.Errorf("put object: %w", s3Error(err))
	}
	return info, nil
}

func (b *bucket) putIf(ctx context.Context, key string, r io.Reader, etag string) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return Info{}, err
	}
	in := &s3.PutObjectInput{Bucket: &b.name, Key: b.bucketKey(key), Body: bytes.NewReader(content), IfNoneMatch: aws.String("*")}
	if etag != "" {
		in.IfNoneMatch, in.IfMatch = nil, &etag
	}
	out, err := b.client.PutObject(ctx, in)
	switch code := awsclient.Status(err); code {
	case http.StatusConflict: // another conditional write is under way
		return Info{}, fmt.Errorf("%w: %w", ErrChanged, err)
	case http.StatusNotImplemented:
		if err := b.requireETag(ctx, key, etag); err != nil {
			return Info{}, err
		}
		in.IfMatch, in.IfNoneMatch, in.Body = nil, nil, bytes.NewReader(content)
		out, err = b.client.PutObject(ctx, in)
	}
	if err != nil {
		return Info{}, err
	}
	return Info{Key: key, Bytes: int64(len(content)), ETag: aws.ToString(out.ETag), Modified: time.Now()}, nil
}

// requireETag returns [ErrChanged] unless an object has an ETag; empty means that there must be none.
func (b *bucket) requireETag(ctx context.Context, key, etag string) error {
	info, err := b.Head(ctx, key)
	if errors.Is(err, ErrNotFound) {
		info, err = Info{}, nil
	}
	if err == nil && info.ETag != etag {
		err = ErrChanged
	}
	return err
}
