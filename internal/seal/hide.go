package seal

// hidden holds a secret behind a function. A pointer is not enough: fmt follows
// one at any depth when the verb does not suit it (%s of a struct with a key in
// an unexported field), but shows of a function only its address.
type hidden[T any] func() T

func hide[T any](v T) hidden[T] { return func() T { return v } }
