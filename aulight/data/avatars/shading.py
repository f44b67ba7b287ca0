"""Light on what is seen: skin, eyes, teeth, hair, lashes; in linear colours.

Skin is lit softly: light reaches around the terminator, red further than blue, and red is smoothed more than blue by
what light does under the skin. Fine relief (pores, wrinkles) turns the normals; it comes as slopes in the texture.
"""

import numpy as np
import numpy.typing as npt

from aulight.data.avatars.compiled import compiled
from aulight.data.avatars.raster import Floats, Numbers

SKIN, INSIDE, EYE, TEETH, TONGUE, LASHES, HAIR, FRAME, LENS = range(9)
"""Materials; the first six as :data:`aulight.data.avatars.reduction.PARTS` numbers them."""

LIGHTS = 22
"""Numbers that describe the light: where the key light is (3) and its colour (3), the colours of the sky (3) and of the
ground (3), where a second light is (3) and its colour (3), the direction of the camera (3), the shadow map's bias."""


@compiled
def vertex_normals(points: Floats, triangles: Numbers, count: int, normals: Floats) -> None:
    """Normals of points, from the first ``count`` triangles, weighted by area; ``normals`` is changed."""
    normals[:] = 0
    for t in range(count):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for k in (a, b, c):
            normals[k, 0] += x
            normals[k, 1] += y
            normals[k, 2] += z
    for k in range(len(normals)):
        length = np.sqrt(normals[k, 0] ** 2 + normals[k, 1] ** 2 + normals[k, 2] ** 2) + np.float32(1e-12)
        normals[k, 0] /= length
        normals[k, 1] /= length
        normals[k, 2] /= length


@compiled
def _lit(shadow: Floats, column: np.float32, row: np.float32, depth: np.float32) -> np.float32:
    """How much of the key light arrives, 0..1, by comparing with the shadow map around a place."""
    height, width = shadow.shape
    total = np.float32(0)
    for k in range(5):  # the middle, and four around it
        x = column + np.float32(1.4) * ((k == 1) - (k == 2)) + np.float32(0.6) * ((k == 3) - (k == 4))
        y = row + np.float32(1.4) * ((k == 3) - (k == 4)) - np.float32(0.6) * ((k == 1) - (k == 2))
        left, top = int(np.floor(x)), int(np.floor(y))
        if left < 0 or top < 0 or left + 1 >= width or top + 1 >= height:
            total += np.float32(1)
            continue
        fx, fy = x - left, y - top
        total += (
            (depth > shadow[top, left]) * (1 - fx) * (1 - fy)
            + (depth > shadow[top, left + 1]) * fx * (1 - fy)
            + (depth > shadow[top + 1, left]) * (1 - fx) * fy
            + (depth > shadow[top + 1, left + 1]) * fx * fy
        )
    return total / np.float32(5)


@compiled
def shade(
    screen: Floats, sunlit: Floats, normals: Floats, attributes: Floats, triangles: Numbers,
    materials: npt.NDArray[np.uint8], seen: Numbers, near: Floats, times: int, shadow: Floats, skin: Floats,
    eye: Floats, colours: Floats, lights: Floats, up: Floats, out: Floats,
) -> None:  # fmt: skip
    """Colours what is seen.

    Args:
        screen: ``(V, 3)`` as of :func:`aulight.data.avatars.raster.fill`.
        sunlit: ``(V, 3)`` the same for the shadow map.
        normals: ``(V, 3)``.
        attributes: ``(V, 3)``: place in the texture (column and row, 0..1; of eyes -1..1 from the middle of the iris)
            and how open the place is to the sky, 0..1.
        triangles: ``(T, 3)``.
        materials: ``(T,)``.
        seen: ``(H, W)`` numbers of triangles, -1 for none.
        near: ``(H, W)`` their nearness.
        times: What is alike among ``times`` x ``times`` pixels, which become one, is coloured once.
        shadow: ``(S, S)`` nearness to the key light.
        skin: ``(h, w, 6)``: red, green, blue, slopes to the left of the head and up, gloss.
        eye: ``(e, e, 3)`` the eye's colours.
        colours: ``(9, 3)`` of the other materials.
        lights: ``(LIGHTS,)``.
        up: ``(3,)`` the head's own upward direction.
        out: ``(H, W, 4)`` linear colour and coverage; changed.
    """
    height, width = seen.shape
    rows, columns = skin.shape[0], skin.shape[1]
    one = np.float32(1)
    key_x, key_y, key_z = lights[0], lights[1], lights[2]
    fill_x, fill_y, fill_z = lights[12], lights[13], lights[14]
    eye_x, eye_y, eye_z = lights[18], lights[19], lights[20]
    half_x, half_y, half_z = key_x + eye_x, key_y + eye_y, key_z + eye_z
    length = np.sqrt(half_x**2 + half_y**2 + half_z**2) + np.float32(1e-6)
    half_x, half_y, half_z = half_x / length, half_y / length, half_z / length
    texel = np.empty(6, np.float32)
    lid_reach = 0
    for row in range(height):
        for column in range(width):
            t = seen[row, column]
            if t < 0:
                out[row, column, 3] = 0
                continue
            alike = False
            q = near[row, column]
            for other_row in range(row - row % times, row + 1):
                for other in range(column - column % times, min(column - column % times + times, width)):
                    if other_row == row and other >= column:
                        break
                    of = seen[other_row, other]
                    if of >= 0 and materials[of] == materials[t] and abs(near[other_row, other] - q) < 0.012 * q:
                        for k in range(4):
                            out[row, column, k] = out[other_row, other, k]
                        alike = True
                        break
                if alike:
                    break
            if alike:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            ax, ay, bx, by = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1]
            cx, cy = screen[c, 0], screen[c, 1]
            over = one / ((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))
            wa = ((bx - column) * (cy - row) - (by - row) * (cx - column)) * over
            wb = ((cx - column) * (ay - row) - (cy - row) * (ax - column)) * over
            wc = one - wa - wb
            wa, wb, wc = wa * screen[a, 2], wb * screen[b, 2], wc * screen[c, 2]
            total = one / (wa + wb + wc)
            wa, wb, wc = wa * total, wb * total, wc * total
            u = wa * attributes[a, 0] + wb * attributes[b, 0] + wc * attributes[c, 0]
            v = wa * attributes[a, 1] + wb * attributes[b, 1] + wc * attributes[c, 1]
            open_ = wa * attributes[a, 2] + wb * attributes[b, 2] + wc * attributes[c, 2]
            nx = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
            ny = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
            nz = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
            length = one / (np.sqrt(nx**2 + ny**2 + nz**2) + np.float32(1e-6))
            nx, ny, nz = nx * length, ny * length, nz * length
            material = materials[t]
            lit = _lit(
                shadow,
                wa * sunlit[a, 0] + wb * sunlit[b, 0] + wc * sunlit[c, 0],
                wa * sunlit[a, 1] + wb * sunlit[b, 1] + wc * sunlit[c, 1],
                wa * sunlit[a, 2] + wb * sunlit[b, 2] + wc * sunlit[c, 2] + lights[21],
            )
            mx, my, mz = nx, ny, nz  # the normal with fine relief
            gloss = np.float32(0)
            if material in (SKIN, HAIR):
                x = min(max(u, np.float32(0)), one) * (columns - 1)
                y = min(max(v, np.float32(0)), one) * (rows - 1)
                left, top = min(int(x), columns - 2), min(int(y), rows - 2)
                fx, fy = np.float32(x - left), np.float32(y - top)
                for k in range(6):
                    texel[k] = (skin[top, left, k] * (one - fx) + skin[top, left + 1, k] * fx) * (one - fy) + (
                        skin[top + 1, left, k] * (one - fx) + skin[top + 1, left + 1, k] * fx
                    ) * fy
                gloss = texel[5]
                # along the surface: to the head's left, and up
                tx, ty, tz = up[1] * nz - up[2] * ny, up[2] * nx - up[0] * nz, up[0] * ny - up[1] * nx
                length = one / (np.sqrt(tx**2 + ty**2 + tz**2) + np.float32(1e-3))
                tx, ty, tz = tx * length, ty * length, tz * length
                sx, sy, sz = ny * tz - nz * ty, nz * tx - nx * tz, nx * ty - ny * tx
                mx -= texel[3] * tx + texel[4] * sx
                my -= texel[3] * ty + texel[4] * sy
                mz -= texel[3] * tz + texel[4] * sz
                length = one / (np.sqrt(mx**2 + my**2 + mz**2) + np.float32(1e-6))
                mx, my, mz = mx * length, my * length, mz * length
            elif material == EYE:
                side = eye.shape[0]
                x = min(max((u + one) / 2, np.float32(0)), one) * (side - 1)
                y = min(max((v + one) / 2, np.float32(0)), one) * (side - 1)
                left, top = min(int(x), side - 2), min(int(y), side - 2)
                fx, fy = np.float32(x - left), np.float32(y - top)
                for k in range(3):
                    texel[k] = (eye[top, left, k] * (one - fx) + eye[top, left + 1, k] * fx) * (one - fy) + (
                        eye[top + 1, left, k] * (one - fx) + eye[top + 1, left + 1, k] * fx
                    ) * fy
                # the lid's shadow lies on the ball below it
                lid_reach = max(2, height // 28)
                open_ = np.float32(1)
                for k in range(1, lid_reach + 1):
                    if row < k:
                        break
                    over_it = seen[row - k, column]
                    if over_it >= 0 and materials[over_it] != EYE:
                        open_ = np.float32(0.35) + np.float32(0.65) * k / (lid_reach + 1)
                        break
                lit = lit * open_
            else:
                for k in range(3):
                    texel[k] = colours[material, k]
            sky = np.float32(0.5) + np.float32(0.5) * my
            glow = max(mx * fill_x + my * fill_y + mz * fill_z + np.float32(0.2), np.float32(0)) / np.float32(1.2)
            for k in range(3):
                wrap = np.float32(0.05)
                dx, dy, dz = mx, my, mz
                soft = lit
                if material == SKIN:
                    wrap = np.float32(0.34 - 0.07 * k)
                    blend = np.float32(0.45 - 0.2 * k)
                    dx, dy, dz = mx + (nx - mx) * blend, my + (ny - my) * blend, mz + (nz - mz) * blend
                    soft = lit * (one + np.float32(0.3 - 0.14 * k) * (one - lit))  # redder where shade begins
                elif material == EYE:
                    wrap = np.float32(0.5)
                elif material == TEETH:
                    soft = np.float32(0.45) + np.float32(0.55) * lit
                beam = max((dx * key_x + dy * key_y + dz * key_z + wrap) / (one + wrap), np.float32(0))
                ambient = (lights[6 + k] * sky + lights[9 + k] * (one - sky)) * open_
                arrives = beam * soft * lights[3 + k] + ambient + glow * open_ * lights[15 + k]
                out[row, column, k] = texel[k] * arrives
            # what is mirrored: a broad and a narrow lobe, more of it at glancing angles
            shine = max(mx * half_x + my * half_y + mz * half_z, np.float32(0))
            facing = max(mx * eye_x + my * eye_y + mz * eye_z, np.float32(0))
            rim = (one - facing) * (one - facing)
            rim = rim * rim
            to4 = shine * shine * shine * shine
            to12 = to4 * to4 * to4
            to48 = to12 * to12 * to12 * to12
            mirrored = np.float32(0)
            if material == SKIN:
                mirrored = gloss * (np.float32(0.17) * to12 + np.float32(0.10) * to48) * (one + 3 * rim)
                mirrored *= lit * max(np.float32(0), min(one, 4 * (mx * key_x + my * key_y + mz * key_z)))
            elif material == HAIR:
                mirrored = np.float32(0.10) * gloss * to12 * lit
            elif material == EYE:
                to96 = to48 * to48
                mirrored = (np.float32(1.8) * to96 * to96 * to96 + np.float32(0.05) * to48) * lit
            elif material in (TEETH, TONGUE):
                mirrored = np.float32(0.25) * to48 * lit
            elif material == FRAME:
                mirrored = np.float32(0.4) * to48
            for k in range(3):
                out[row, column, k] += mirrored * lights[3 + k]
                if material == SKIN:
                    out[row, column, k] += np.float32(0.05) * gloss * rim * lights[6 + k] * open_
            out[row, column, 3] = 1


@compiled
def cover(
    screen: Floats, triangles: Numbers, first: int, last: int, alpha: Floats, colours: Floats,
    materials: npt.NDArray[np.uint8], near: Floats, light: float, out: Floats,
) -> None:  # fmt: skip
    """Lays what lets light through (lashes, lenses) over the picture, where nothing is before it.

    Args:
        screen: As of :func:`shade`.
        triangles: ``(T, 3)``.
        first: The first triangle that is laid over.
        last: The one after the last.
        alpha: ``(V,)`` 0..1 how much it covers.
        colours: As of :func:`shade`.
        materials: ``(T,)``.
        near: ``(H, W)`` nearness of what is there.
        light: How bright it is lit.
        out: As of :func:`shade`; changed.
    """
    height, width = near.shape
    for t in range(first, last):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, aq = screen[a, 0], screen[a, 1], screen[a, 2]
        bx, by, bq = screen[b, 0], screen[b, 1], screen[b, 2]
        cx, cy, cq = screen[c, 0], screen[c, 1], screen[c, 2]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0 or aq <= 0 or bq <= 0 or cq <= 0:
            continue
        over = np.float32(1) / area
        material = materials[t]
        for row in range(max(0, int(np.ceil(min(ay, by, cy)))), min(height - 1, int(np.floor(max(ay, by, cy)))) + 1):
            for column in range(
                max(0, int(np.ceil(min(ax, bx, cx)))), min(width - 1, int(np.floor(max(ax, bx, cx)))) + 1
            ):
                one = ((bx - column) * (cy - row) - (by - row) * (cx - column)) * over
                two = ((cx - column) * (ay - row) - (cy - row) * (ax - column)) * over
                three = np.float32(1) - one - two
                if one < 0 or two < 0 or three < 0:
                    continue
                if one * aq + two * bq + three * cq <= near[row, column]:
                    continue
                covered = one * alpha[a] + two * alpha[b] + three * alpha[c]
                for k in range(3):
                    out[row, column, k] += covered * (colours[material, k] * light - out[row, column, k])


@compiled
def develop(linear: Floats, background: Floats, exposure: float, curve: Floats, times: int, picture: Floats) -> None:
    """Averages ``times`` x ``times`` pixels to one before the background, and gives the grey levels of a camera.

    Args:
        linear: ``(H * times, W * times, 4)`` as of :func:`shade`.
        background: ``(H, W, 3)`` linear.
        exposure: What all colours are multiplied by.
        curve: ``(n,)`` grey levels of linear values, evenly spaced from 0 to 2.
        times: Pixels averaged.
        picture: ``(H, W, 3)`` float32 0..255; changed.
    """
    height, width = picture.shape[0], picture.shape[1]
    share = np.float32(1.0 / (times * times))
    steps = len(curve) - 1
    for row in range(height):
        for column in range(width):
            red = green = blue = covered = np.float32(0)
            for down in range(times):
                for right in range(times):
                    y, x = row * times + down, column * times + right
                    if linear[y, x, 3] > 0:
                        red += linear[y, x, 0]
                        green += linear[y, x, 1]
                        blue += linear[y, x, 2]
                        covered += 1
            left = np.float32(1) - covered * share
            for k in range(3):
                value = (red, green, blue)[k] * share + left * background[row, column, k]
                at = min(max(value * exposure, np.float32(0)), np.float32(2)) * (steps / 2)
                below = min(int(at), steps - 1)
                picture[row, column, k] = curve[below] + (curve[below + 1] - curve[below]) * (at - below)
