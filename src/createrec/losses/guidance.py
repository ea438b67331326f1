"""One-way guidance of LOOM (reconstruction): what the teacher scores, the student learns (Table 3)."""

from torch import Tensor

from createrec.ops.divergence import guided_divergence


def guidance(
    teacher_states: Tensor, teacher_items: Tensor, student_states: Tensor, student_items: Tensor, temperature: float
) -> Tensor:
    """Mean of c_u tau^2 KL(p_u || q_u); no gradient reaches the teacher.

        p_u = softmax(<h_u, E> / tau),  q_u = softmax(<o_u, O> / tau),  c_u = 1 - H(p_u) / log I

    The confidence c_u is 0 for a teacher to whom all items are alike, and 1 for one who is certain.

    Args:
        teacher_states, teacher_items: h_u [batch, d] and E [items, d].
        student_states, student_items: o_u [batch, e] and O [items, e].
        temperature: tau.
    """
    return guided_divergence(teacher_states, teacher_items, student_states, student_items, temperature)
