package roster
import ("testing";"yipan/internal/area";"fmt")
func TestZ(t *testing.T){
 for _,c := range []string{"520330","520382","330782","330481","330329","440783","450722","320583","350582"} {
  k:=area.MustOf(area.County,c); fmt.Println(k, area.FullName(k))
  for _,x:=range area.Children(k){ i,_:=area.Lookup(x); fmt.Print(x," ",i.Name,"; ")}
  fmt.Println()
 }
}
