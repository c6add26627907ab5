package seal

import (
	"encoding/binary"
	"math/bits"

	"yipan/internal/fault"
)

const (
	// MinPadded is the size of the smallest padded parcel, in bytes: SECURITY
	// D5, so that one to four ordinary items look alike.
	MinPadded = 2048
	// MaxPadded is the largest padded size, far above a parcel's 256 KiB.
	MaxPadded = 1 << 30

	padHead = 4
)

// Pad returns length (4 bytes, big endian) ‖ b ‖ zeros, filled up to the next
// power of two from MinPadded. Content beyond MaxPadded-4 bytes is a
// programming error (parcels are packed to a limit long before) and panics.
func Pad(b []byte) []byte {
	if len(b) > MaxPadded-padHead {
		panic("seal: content too long to pad")
	}
	n := max(len(b)+padHead, MinPadded)
	return pad(b, 1<<bits.Len(uint(n-1)))
}

// Unpad returns the content of what Pad made, as a part of p. The size must be
// a power of two from MinPadded to MaxPadded and every filling byte zero; a
// greater power than needed is allowed, so that a sender may hide more. Errors:
// Invalid PADDING.
func Unpad(p []byte) ([]byte, error) {
	if len(p) < MinPadded || len(p) > MaxPadded || bits.OnesCount(uint(len(p))) != 1 {
		return nil, fault.Invalid("PADDING", "seal: %d is no padded size", len(p))
	}
	return unpad(p)
}

// PadTo returns length (4 bytes, big endian) ‖ b ‖ zeros of exactly size bytes:
// for fields whose length would tell their content, such as an outcome.
// Errors: Invalid PADDING when b has more than size-4 bytes.
func PadTo(b []byte, size int) ([]byte, error) {
	if len(b) > size-padHead || size > MaxPadded {
		return nil, fault.Invalid("PADDING", "seal: %d bytes do not fit into %d", len(b), size)
	}
	return pad(b, size), nil
}

// UnpadTo returns the content of what PadTo made with the same size, as a part
// of p. Errors: Invalid PADDING.
func UnpadTo(p []byte, size int) ([]byte, error) {
	if len(p) != size || size < padHead {
		return nil, fault.Invalid("PADDING", "seal: padded to %d bytes, not %d", len(p), size)
	}
	return unpad(p)
}

func pad(b []byte, size int) []byte {
	p := make([]byte, size)
	binary.BigEndian.PutUint32(p, uint32(len(b)))
	copy(p[padHead:], b)
	return p
}

func unpad(p []byte) ([]byte, error) {
	n := uint64(binary.BigEndian.Uint32(p))
	if n > uint64(len(p)-padHead) {
		return nil, fault.Invalid("PADDING", "seal: padded length exceeds its frame")
	}
	end := padHead + int(n)
	var stray byte
	for _, c := range p[end:] {
		stray |= c
	}
	if stray != 0 {
		return nil, fault.Invalid("PADDING", "seal: filling is not zero")
	}
	return p[padHead:end:end], nil
}
