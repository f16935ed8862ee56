!> Takes an array that C gives, fills it with squares in place, and hands it back.
function squares(given, result) bind(C) result(stat)
  use tenure
  use tenure_c
  use, intrinsic :: iso_fortran_env, only: real64
  implicit none
  type(c_ptr), value :: given
  type(c_ptr), intent(inout) :: result
  integer(c_int32_t) :: stat
  type(tn_array_t) :: array
  type(tn_guard_t) :: guard
  real(real64), pointer :: x(:) => null()
  integer :: i
  call array%take(given, stat)
  if (stat == TN_OK) call array%borrow_write(x, guard, stat=stat)
  if (stat /= TN_OK) return
  do i = 1, size(x)
    x(i) = real(i, real64)**2
  end do
  call guard%end()
  result = array%detach()
end function
