package closing_test

import (
	"testing"

	"yipan/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }
