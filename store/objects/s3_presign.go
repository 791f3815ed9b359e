package objects

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Presigner is an object store that makes links to put an object. A bucket is one, a directory is not.
type Presigner interface {
	// PresignPut makes a link that puts one object of exactly size bytes, once: the object must not be there yet.
	// The client must send the headers that come with the link.
	PresignPut(ctx context.Context, key string, size int64, life time.Duration) (PresignedPut, error)
}

// PresignedPut is a link and the headers that are part of its signature, but for Host.
type PresignedPut struct {
	URL     string
	Headers map[string]string
}

var _ Presigner = (*bucket)(nil)

// newPresignClient makes the client that signs. Making it writes to what it shares with the other, so there is one for
// all links.
func newPresignClient(client *s3.Client) *s3.PresignClient {
	return s3.NewPresignClient(client, s3.WithPresignClientFromClientOptions(
		func(o *s3.Options) { // the checksum of what is not known yet would be that of nothing
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		}))
}

// PresignPut implements [Presigner].
func (b *bucket) PresignPut(ctx context.Context, key string, size int64, life time.Duration) (PresignedPut, error) {
	if err := checkKey(key); err != nil {
		return PresignedPut{}, fmt.Errorf("presign: %w", err)
	}
	signed, err := b.presign.PresignPutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.name, Key: b.bucketKey(key), ContentLength: &size, ContentType: aws.String("text/csv"),
		IfNoneMatch: aws.String("*"),
	}, s3.WithPresignExpires(life))
	if err != nil {
		return PresignedPut{}, fmt.Errorf("presign: %w", err)
	}
	put := PresignedPut{URL: signed.URL, Headers: map[string]string{}}
	for name := range signed.SignedHeader {
		if name = http.CanonicalHeaderKey(name); name != "Host" {
			put.Headers[name] = signed.SignedHeader.Get(name)
		}
	}
	return put, nil
}
