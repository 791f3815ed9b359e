package store

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// copyHeader and copyTrailer frame the tuples of a binary COPY: signature, flags, no extension; -1 fields.
const (
	copyHeader  = "PGCOPY\n\377\r\n\000\x00\x00\x00\x00\x00\x00\x00\x00"
	copyTrailer = "\xff\xff"
)

const copyInto = `COPY prediction_blocks
	(prediction_id, first_row, n, row_offset, customer_id, probability, risk_band, band_rows) FROM STDIN (FORMAT binary)`

// copyBlocks sends encoded tuples as they are: nothing is boxed, nothing is encoded twice.
func copyBlocks(ctx context.Context, conn *pgconn.PgConn, tuples io.Reader) error {
	stream := io.MultiReader(strings.NewReader(copyHeader), tuples, bytes.NewReader([]byte(copyTrailer)))
	if _, err := conn.CopyFrom(ctx, stream, copyInto); err != nil {
		return fmt.Errorf("copy blocks: %w", err)
	}
	return nil
}
